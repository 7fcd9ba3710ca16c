"""Classes of sequences: recurrent layers, the last state, attention over time, copies."""

from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn

from .pair import Fault, Pair, random


class TorchRecurrent(nn.Module):
    """``cut`` takes the outputs of the last time, also of the direction that begins there."""

    def __init__(self, first: bool = True, cut: bool = False) -> None:
        super().__init__()
        self.cut = cut
        self.gru = nn.GRU(4, 5, batch_first=first)
        self.lstm = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        outputs, (state, _) = self.lstm(self.gru(x)[0])
        last = outputs[:, -1] if self.cut else torch.cat([state[0], state[1]], 1)
        return self.head(self.norm(last))


def keras_recurrent(gate: str = "sigmoid", back: bool = False, mode: str = "concat") -> Any:
    x = keras.Input((6, 4))
    h = layers.GRU(5, return_sequences=True, go_backwards=back)(x)
    h = layers.Bidirectional(layers.LSTM(3, recurrent_activation=gate), merge_mode=mode)(h)
    return keras.Model(x, layers.Dense(3)(layers.LayerNormalization(epsilon=1e-5)(h)))


class TorchPooled(nn.Module):
    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 5, batch_first=True, bias=bias)
        self.score, self.head = nn.Linear(5, 1), nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        h = self.rnn(x)[0]
        weights = self.score(torch.tanh(h)).softmax(1)
        return self.head((h * weights).sum(1))


def keras_pooled(
    axis: int = 1, activation: str = "tanh", mean: bool = False, bias: bool = False
) -> Any:
    x = keras.Input((6, 4))
    h = layers.SimpleRNN(5, activation=activation, return_sequences=True, use_bias=bias)(x)
    scores = layers.Dense(1)(layers.Activation("tanh")(h))
    weighted = layers.Multiply()([h, layers.Softmax(axis)(scores)])
    pooled = layers.Lambda(lambda v: tf.reduce_mean(v, 1) if mean else tf.reduce_sum(v, 1))
    return keras.Model(x, layers.Dense(3)(pooled(weighted)))


def sequences() -> Any:
    return random().standard_normal((6, 6, 4)).astype("float32"), random(1).integers(0, 3, 6)


def copied(torch_model: Any, keras_model: Any, plan: str) -> None:
    """``plan``: the gates of the GRU as PyTorch has them, or one of the LSTM's biases only."""
    named = torch_model.state_dict().items()
    state = {name: value.detach().numpy().copy() for name, value in named}

    def gates(array: Any) -> Any:
        reset, update, new = np.split(array, 3)
        return np.concatenate([reset, update, new] if plan == "gates" else [update, reset, new])

    kernels = [gates(state[f"gru.weight_{kind}_l0"]).T for kind in ("ih", "hh")]
    biases = np.stack([gates(state[f"gru.bias_{kind}_l0"]) for kind in ("ih", "hh")])
    keras_model.layers[1].set_weights([*kernels, biases])
    arrays = []
    for end in ("", "_reverse"):
        arrays += [state[f"lstm.weight_{kind}_l0{end}"].T for kind in ("ih", "hh")]
        bias = state[f"lstm.bias_ih_l0{end}"]
        arrays.append(bias if plan == "bias" else bias + state[f"lstm.bias_hh_l0{end}"])
    if plan == "directions":
        arrays = arrays[3:] + arrays[:3]
    keras_model.layers[2].set_weights(arrays)
    keras_model.layers[3].set_weights([state["norm.weight"], state["norm.bias"]])
    keras_model.layers[4].set_weights([state["head.weight"].T, state["head.bias"]])


def converting(plan: str) -> Pair:
    return PAIR._replace(convert=lambda ours, theirs: copied(ours, theirs, plan))


def rests(model: Any) -> Any:
    """The second bias rests at 0, since Keras' LSTM and SimpleRNN have one bias."""
    for name, parameter in model.named_parameters():
        if "bias_hh" in name and not name.startswith("gru"):
            torch.nn.init.zeros_(parameter).requires_grad_(False)
    return model


PAIR = Pair(lambda: rests(TorchRecurrent()), keras_recurrent, sequences)
BIASED = Pair(lambda: rests(TorchPooled(bias=True)), lambda: keras_pooled(bias=True), sequences)
POOLED = Pair(TorchPooled, keras_pooled, sequences)
RIGHT = {
    "recurrent": PAIR,
    "recurrent, converted": converting(""),
    "pooled": POOLED,
    "pooled, biased": BIASED,
}
FAULTS = {
    "recurrent: batch_first forgotten": Fault(
        PAIR._replace(torch_model=lambda: rests(TorchRecurrent(first=False))),
        ("forward",), ("gru",), ("batch_first", "time"),
    ),
    "recurrent: the last outputs of both directions": Fault(
        PAIR._replace(torch_model=lambda: rests(TorchRecurrent(cut=True))),
        ("forward",), ("lstm", "norm", "bidirectional"), ("last", "state", "direction", "reverse"),
    ),
    "recurrent: hard gates": Fault(
        PAIR._replace(keras_model=lambda: keras_recurrent("hard_sigmoid")),
        ("forward",), ("lstm",), ("hard_sigmoid", "recurrent_activation"),
    ),
    "recurrent: backwards": Fault(
        PAIR._replace(keras_model=lambda: keras_recurrent(back=True)),
        ("forward",), ("gru",), ("go_backwards", "revers"),
    ),
    "recurrent: both directions are added": Fault(
        PAIR._replace(keras_model=lambda: keras_recurrent(mode="sum")),
        ("map", "forward"), ("norm", "head", "bidirectional", "dense"), ("merge_mode", "shape"),
    ),
    "recurrent: gates copied as they are": Fault(
        converting("gates"), ("weights",), ("gru",), ("gate", "order"),
    ),
    "recurrent: one of two biases copied": Fault(
        PAIR._replace(
            torch_model=TorchRecurrent, convert=lambda ours, theirs: copied(ours, theirs, "bias")
        ),
        ("weights",), ("lstm",), ("bias_hh", "sum", "two biases", "both"),
    ),
    "recurrent: directions copied into each other": Fault(
        converting("directions"), ("weights",), ("lstm",), ("reverse", "direction", "forward"),
    ),
    "pooled: softmax over the features": Fault(
        POOLED._replace(keras_model=lambda: keras_pooled(-1)),
        ("forward",), ("softmax",), ("axis", "dim"),
    ),
    "pooled: ReLU in the loop": Fault(
        POOLED._replace(keras_model=lambda: keras_pooled(activation="relu")),
        ("forward",), ("rnn",), ("activation", "relu", "nonlinearity"),
    ),
    "pooled: mean over time": Fault(
        POOLED._replace(keras_model=lambda: keras_pooled(mean=True)),
        ("forward",), ("head", "lambda", "dense_1"), ("mean", "sum", "factor"),
    ),
}  # fmt: skip
