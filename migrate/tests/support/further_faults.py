"""Faults for which no exchange was written, scored apart: caught, stage and place alone."""

from collections.abc import Callable
from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from . import families as f
from .faults import PLAIN, SPARSE, Fault


class StopGradient(layers.Layer):
    """Hands on the value and stops the gradient."""

    def call(self, x: Any) -> Any:
        return tf.stop_gradient(x)


class TwiceTheGradient(layers.Layer):
    """Hands on the value, and on the way back twice the gradient."""

    def call(self, x: Any) -> Any:
        return 2.0 * x - tf.stop_gradient(x)


def _small(*between: Callable[[], Any], **options: Any) -> dict[str, Any]:
    return {"keras_model": lambda: f.keras_small(*between, **options)}


def _frozen() -> Any:
    model = f.keras_small()
    model.layers[0].trainable = False
    return model


def _rescaled() -> Any:
    return keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Rescaling(0.5), *f.keras_small().layers]
    )


class TorchMeanGru(f.TorchRnn):
    """The mean over time in place of the last step."""

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x)[0].mean(1))


class TorchTimeFirst(f.TorchRnn):
    """The batch is taken for time."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.rnn.batch_first = False


class TorchOtherAxis(f.TorchHandAttention):
    """The softmax runs over the queries."""

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / 8**0.5
        a = functional.softmax(scores, 1) @ self.v(h)
        return self.head((h + self.fc(functional.relu(self.o(a)))).mean(1))


class TorchTransposed(f.TorchHandAttention):
    """The weights of attention are transposed."""

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / 8**0.5
        a = functional.softmax(scores, -1).transpose(1, 2) @ self.v(h)
        return self.head((h + self.fc(functional.relu(self.o(a)))).mean(1))


def _live(in_pytorch: Any, in_keras: Any) -> dict[str, Any]:
    return {"optimizers": (in_pytorch, in_keras)}


def _sgd(params: Any) -> Any:
    return torch.optim.SGD(params, lr=0.1)


def _halving() -> Any:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    return keras.optimizers.SGD(schedule)


def _bounded() -> Any:
    return f.keras_small(kernel_constraint=keras.constraints.MaxNorm(0.1))


def _loss(in_pytorch: Any = PLAIN[0], in_keras: Any = PLAIN[1]) -> dict[str, Any]:
    return {"loss": (in_pytorch, in_keras)}


def _focal(targets: Any, output: Any) -> Any:
    each = SPARSE(targets, output, from_logits=True)
    return tf.reduce_mean((1 - tf.exp(-each)) ** 2 * each)


def _padded_embedding() -> Any:
    model = f.TorchPositions()
    model.emb = nn.Embedding(12, 8, padding_idx=3)
    return model


FURTHER: dict[str, Fault] = {
    "another stride": Fault("small", _small(strides=2), "forward", "conv", ""),
    "another kernel": Fault("small", _small(kernel_size=5), "map", "conv.weight", ""),
    "'valid' padding": Fault("small", _small(padding="valid"), "forward", "conv", ""),
    "LayerNorm for BatchNorm": Fault(
        "small", _small(norm=layers.LayerNormalization), "map", "norm", ""),
    "normalized over height": Fault(
        "small", _small(norm=lambda: layers.BatchNormalization(axis=1)), "map", "norm", ""),
    "the maximum of all": Fault(
        "small", _small(pool=layers.GlobalMaxPooling2D), "forward", "mean()", ""),
    "ReLU on the logits": Fault("small", _small(head="relu"), "forward", "output", ""),
    "rescaled in the model": Fault("small", {"keras_model": _rescaled}, "forward", "conv", ""),
    "a frozen convolution": Fault(
        "small", {"keras_model": _frozen}, "parameter gradients", "conv", ""),
    "a gradient that is stopped": Fault("small", _small(StopGradient), "backward", "", ""),
    "a gradient that is doubled": Fault("small", _small(TwiceTheGradient), "backward", "", ""),
    "an activity regularizer": Fault(
        "small", _small(activity_regularizer=keras.regularizers.L2(0.01)), "loss", "loss", ""),
    "a constraint of the kernel": Fault(
        "small", {"keras_model": _bounded, **_live(_sgd, lambda: keras.optimizers.SGD(0.1))},
        "weights after", "conv.weight", ""),
    "the mean for the last step": Fault(
        "gru", {"torch_model": lambda: TorchMeanGru("GRU")}, "forward", "fc", ""),
    "batch_first is forgotten": Fault(
        "gru", {"torch_model": lambda: TorchTimeFirst("GRU")}, "forward", "rnn", ""),
    "the softmax over another axis": Fault(
        "hand attention", {"torch_model": TorchOtherAxis}, "forward", "softmax", ""),
    "attention is transposed": Fault(
        "hand attention", {"torch_model": TorchTransposed}, "forward", "", ""),
    "a padding row that never moves": Fault(
        "positions", {"torch_model": _padded_embedding, "batch": lambda: (
            np.tile([[3, 1, 2, 3, 4, 5]], (5, 1)), np.tile([[1, 2, 3, 4, 5, 6]], (5, 1)))},
        "parameter gradients", "emb", ""),
    "Nesterov": Fault(
        "small", _live(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
                       lambda: keras.optimizers.SGD(0.1, momentum=0.9)), "weights after", "", ""),
    "a schedule": Fault("small", _live(_sgd, _halving), "weights after", "", ""),
    "a focal loss": Fault("mlp", _loss(in_keras=_focal), "loss", "loss", ""),
    "Huber's delta": Fault(
        "unet", _loss(nn.HuberLoss("mean", 0.5), keras.losses.Huber()), "loss", "loss", ""),
}  # fmt: skip
