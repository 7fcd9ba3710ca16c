"""A causal network of sequences: padding at the left, skips, schedules, clipping."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


class TorchCausal(nn.Module):
    def __init__(self, inside: bool = False, end: int = -1) -> None:
        super().__init__()
        self.inside, self.end = inside, end
        self.first, self.second = nn.Conv1d(3, 6, 3), nn.Conv1d(6, 6, 3, dilation=2)
        self.skip, self.out = nn.Conv1d(3, 6, 1), nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        h = torch.tanh(self.first(functional.pad(x, (2, 0))))
        h = self.second(functional.pad(h, (4, 0)))
        h = functional.relu(h + self.skip(x))
        return self.out(h[:, :, -1])


def keras_causal(padding: str = "causal", outside: bool = False, end: int = -1) -> Any:
    x = keras.Input((12, 3))
    h = layers.Conv1D(6, 3, padding=padding, activation="tanh")(x)
    h = layers.Conv1D(6, 3, padding="causal", dilation_rate=2)(h)
    skip = layers.Conv1D(6, 1)(x)
    if outside:
        h = layers.Add()([layers.ReLU()(h), skip])
    else:
        h = layers.ReLU()(layers.Add()([h, skip]))
    return keras.Model(x, layers.Dense(2)(h[:, end]))


def measurements() -> Any:
    inputs = random().standard_normal((6, 3, 12)).astype("float32")
    return inputs, random(1).standard_normal((6, 2)).astype("float32") * 2


def smooth(outputs: Any, targets: Any) -> Any:
    return functional.smooth_l1_loss(outputs, targets, beta=0.5)


def huber(targets: Any, outputs: Any) -> Any:
    return keras.losses.Huber(0.5)(targets, outputs)


def huber_over_delta(targets: Any, outputs: Any) -> Any:
    return huber(targets, outputs) / 0.5


def half_square(targets: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.reduce_sum(tf.square(outputs - targets), 1)) / 2


def stepped(params: Any) -> Any:
    optimizer = torch.optim.SGD(params, lr=0.1)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)


def decayed(staircase: bool) -> Any:
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=staircase)
    return keras.optimizers.SGD(rate)


def damped(params: Any) -> Any:
    return torch.optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.9)


def heavy() -> Any:
    return keras.optimizers.SGD(0.1, momentum=0.9)


PAIR = Pair(TorchCausal, keras_causal, measurements, (smooth, huber_over_delta))
RIGHT = {
    "causal": PAIR,
    "causal, schedule": PAIR._replace(optimizers=(stepped, lambda: decayed(True))),
    "causal, clipped": PAIR._replace(clip=0.01),
}
FAULTS = {
    "causal: padded at both ends": Fault(
        PAIR._replace(keras_model=lambda: keras_causal("same")),
        ("forward",), ("first", "conv1d"), ("causal", "padding"),
    ),
    "causal: the skip joins behind the ReLU": Fault(
        PAIR._replace(keras_model=lambda: keras_causal(outside=True)),
        ("forward",), ("re_lu", "add", "out", "dense"), ("relu", "activation", "order", "before"),
    ),
    "causal: first time instead of last": Fault(
        PAIR._replace(keras_model=lambda: keras_causal(end=0)),
        ("forward",), ("out", "dense", "get_item"), ("last", "first", "index", "revers"),
    ),
    "causal: huber is not divided": Fault(
        PAIR._replace(loss=(smooth, huber)), ("loss",), ("loss",),
        ("factor", "times", "delta", "beta", "half", "2", "0.5"),
    ),
    "causal: sum over outputs": Fault(
        PAIR._replace(loss=("mse", lambda y, x: 2 * half_square(y, x))), ("loss",), ("loss",),
        ("factor", "times", "sum", "2", "0.5"),
    ),
    "causal: each gradient is clipped by itself": Fault(
        PAIR._replace(clip=("clip_grad_norm_(max_norm=0.01)", "clipnorm=0.01")),
        ("clip",), ("",), ("global_clipnorm", "each", "norm"),
    ),
    "causal: clipped by value": Fault(
        PAIR._replace(clip=("clip_grad_value_(clip_value=0.01)", "global_clipnorm=0.01")),
        ("clip",), ("",), ("clip", "value"),
    ),
    "causal: a smooth schedule": Fault(
        PAIR._replace(optimizers=(stepped, lambda: decayed(False))),
        ("weights after",), ("",), ("rate", "schedule", "staircase"),
    ),
    "causal: dampening": Fault(
        PAIR._replace(optimizers=(damped, heavy)),
        ("weights after",), ("",), ("dampening",),
    ),
}  # fmt: skip
