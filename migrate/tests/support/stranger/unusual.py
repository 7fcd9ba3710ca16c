"""Pairs that are right, and unusual: none may be accused."""

from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Pair, random


def vectors() -> Any:
    return random().standard_normal((7, 6)).astype("float32"), random(1).integers(0, 3, 7)


def images() -> Any:
    return random().standard_normal((4, 4, 9, 9)).astype("float32"), random(1).integers(0, 3, 4)


class TorchRepeated(nn.Module):
    """One layer three times; made last, and used first."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.step = nn.Linear(6, 3), nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = torch.tanh(self.step(x)) + x
        return self.head(x)


def keras_repeated() -> Any:
    x = keras.Input((6,))
    step, h = layers.Dense(6, activation="tanh"), x
    for _ in range(3):
        h = layers.Add()([step(h), h])
    return keras.Model(x, layers.Dense(3)(h))


class TorchNamed(nn.Module):
    """Inputs and outputs by name; one output is not in the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 4), nn.Linear(5, 4), nn.Linear(4, 2)
        self.beside = nn.Linear(4, 2)

    def forward(self, left: Any, right: Any) -> Any:
        h = torch.sigmoid(self.a(left)) * self.b(right)
        return {"main": self.c(h), "beside": self.beside(h)}


class TorchByOne(TorchNamed):
    """One argument, which is a dictionary."""

    def forward(self, batch: Any) -> Any:  # type: ignore[override]
        return super().forward(batch["left"], batch["right"])


class KerasNamed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.beside, self.c = layers.Dense(2), layers.Dense(2)
        self.b, self.a = layers.Dense(4), layers.Dense(4, activation="sigmoid")

    def call(self, batch: Any) -> Any:
        right = self.b(batch["right"])
        h = self.a(batch["left"]) * right
        return {"beside": self.beside(h), "main": self.c(h)}


def named() -> Any:
    left, right = (random(size).standard_normal((5, size)).astype("float32") for size in (6, 5))
    return {"left": left, "right": right}, random(1).standard_normal((5, 2)).astype("float32")


def main_in_torch(outputs: Any, targets: Any) -> Any:
    return functional.l1_loss(outputs["main"], targets)


def main_in_keras(targets: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.abs(outputs["main"] - targets))


def torch_plain(change: Any = None) -> Any:
    model = nn.Sequential(
        nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 3)
    )
    if change is not None:
        with torch.no_grad():
            change(model)
    return model


def keras_plain() -> Any:
    return keras.Sequential([
        layers.Input((6,)), layers.Dense(6, activation="relu"), layers.Dense(6), layers.ReLU(),
        layers.LayerNormalization(epsilon=1e-5), layers.Dense(3),
    ])  # fmt: skip


def constant(model: Any) -> None:
    for layer in (model[0], model[2]):
        layer.weight.fill_(0.5)
        layer.bias.fill_(0.1)


def dead(model: Any) -> None:
    model[0].bias[:4] = -100.0


def zero_head(model: Any) -> None:
    model[5].weight.zero_()


def tiny(model: Any) -> None:
    model[0].weight.mul_(1e-6)
    model[0].bias.mul_(1e-6)


class TorchConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 3)
        self.narrow = nn.Conv2d(4, 4, (1, 5), stride=(1, 2), groups=4, bias=False)
        self.wide = nn.Conv2d(4, 8, 3, dilation=(2, 1), groups=2)
        self.pad = nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x: Any) -> Any:
        x = functional.elu(self.wide(self.narrow(x)), 0.5)
        return self.last(self.pad(x).amax((2, 3)))


def keras_convolutions(sliced: bool = False) -> Any:
    """``sliced``: Keras' depthwise convolution has one stride for both axes, so a slice has it."""
    strided = [layers.Conv2D(4, (1, 5), (1, 2), groups=4, use_bias=False)]
    if sliced:
        strided = [
            layers.DepthwiseConv2D((1, 5), use_bias=False), layers.Lambda(lambda x: x[:, :, ::2]),
        ]  # fmt: skip
    return keras.Sequential([
        layers.Input((9, 9, 4)), *strided,
        layers.Conv2D(8, 3, dilation_rate=(2, 1), groups=2), layers.ELU(0.5),
        layers.ZeroPadding2D(1), layers.Conv2D(8, 3, 2), layers.GlobalMaxPooling2D(),
        layers.Dense(3),
    ])  # fmt: skip


class TorchResting(nn.Module):
    """As in fine-tuning: the first part is frozen, its normalization uses its statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 3)
        self.norm.running_var.uniform_(0.5, 2.0)
        for part in (self.conv, self.norm):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Any) -> Any:
        return self.head(functional.relu(self.norm(self.conv(x))).mean((2, 3)))


def keras_resting() -> Any:
    base = keras.Sequential([
        layers.Input((9, 9, 4)), layers.Conv2D(5, 3), layers.BatchNormalization(epsilon=1e-5),
        layers.ReLU(),
    ])  # fmt: skip
    base.trainable = False
    x = keras.Input((9, 9, 4))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(base(x))))


class TorchTied(nn.Module):
    """An autoencoder whose decoder is the encoder's matrix, and a layer that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(6, 2)
        self.matrix = nn.Parameter(torch.randn(4, 6))
        self.before, self.behind = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(6))

    def forward(self, x: Any) -> Any:
        h = functional.softplus(functional.linear(x, self.matrix, self.before))
        return functional.linear(h, self.matrix.T, self.behind)


class KerasTied(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = self.add_weight(shape=(6, 4), name="matrix", initializer="normal")
        self.before = self.add_weight(shape=(4,), name="before", initializer="zeros")
        self.behind = self.add_weight(shape=(6,), name="behind", initializer="zeros")
        self.idle = layers.Dense(2)
        self.idle.build((None, 6))

    def call(self, x: Any) -> Any:
        h = tf.math.softplus(tf.matmul(x, self.matrix) + self.before)
        return tf.matmul(h, self.matrix, transpose_b=True) + self.behind


def same_vectors() -> Any:
    x = vectors()[0]
    return x, x


class TorchDetached(nn.Module):
    """Gradients stop on both sides, and two scales begin at the same value."""

    def __init__(self) -> None:
        super().__init__()
        self.inp, self.out = nn.Linear(6, 6), nn.Linear(6, 3)
        self.one, self.other = (nn.Parameter(torch.full((6,), 1e-2)) for _ in range(2))

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        return self.out(x + self.one * torch.sin(h) + self.other * h.detach() ** 2)


class KerasDetached(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.other = self.add_weight(shape=(6,), name="other", initializer="zeros")
        self.one = self.add_weight(shape=(6,), name="one", initializer="zeros")
        self.inp, self.out = layers.Dense(6), layers.Dense(3)

    def call(self, x: Any) -> Any:
        h = self.inp(x)
        squared = tf.square(tf.stop_gradient(h))
        return self.out(x + self.one * tf.sin(h) + self.other * squared)


def overridden() -> Any:
    """Keras' functional models pass their own ``training`` in place of this one."""
    x = keras.Input((9, 9, 4))
    h = layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x, training=False)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.ReLU()(h))))


class TorchNormalized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.head(functional.relu(self.norm(x)).mean((2, 3)))


class TorchVolumes(nn.Module):
    """``flat``: volumes become sequences; else they become volumes."""

    def __init__(self, flat: bool = True) -> None:
        super().__init__()
        self.flat = flat
        self.conv = nn.Conv3d(2, 3, 2)
        self.up = nn.ConvTranspose1d(3, 4, 3, 2) if flat else nn.ConvTranspose3d(3, 4, 2)

    def forward(self, x: Any) -> Any:
        h = torch.tanh(self.conv(x))
        return self.up(h.mean((3, 4)) if self.flat else h)


def keras_volumes(flat: bool = True) -> Any:
    tail: list[Any] = [layers.Conv3DTranspose(4, 2)]
    if flat:
        mean = layers.Lambda(lambda x: tf.reduce_mean(x, (2, 3)))
        tail = [mean, layers.Conv1DTranspose(4, 3, 2)]
    start = [layers.Input((5, 4, 4, 2)), layers.Conv3D(3, 2, activation="tanh")]
    return keras.Sequential(start + tail)


def volumes(shape: Any = (3, 4, 9)) -> Any:
    inputs = random().standard_normal((3, 2, 5, 4, 4)).astype("float32")
    return inputs, random(1).standard_normal(shape).astype("float32")


class TorchLines(nn.Module):
    """Sequences become longer ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up = nn.Conv1d(2, 3, 2), nn.ConvTranspose1d(3, 4, 3, 2)

    def forward(self, x: Any) -> Any:
        return self.up(torch.tanh(self.conv(x)))


def keras_lines() -> Any:
    return keras.Sequential([
        layers.Input((5, 2)), layers.Conv1D(3, 2, activation="tanh"),
        layers.Conv1DTranspose(4, 3, 2),
    ])  # fmt: skip


def lines() -> Any:
    inputs = random().standard_normal((3, 2, 5)).astype("float32")
    return inputs, random(1).standard_normal((3, 4, 9)).astype("float32")


def nested() -> Any:
    inner = keras.Sequential([layers.Dense(6, activation="relu"), layers.Dense(6)])
    tail = keras.Sequential([layers.ReLU(), layers.LayerNormalization(epsilon=1e-5)])
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(3)(tail(inner(x))))


def one_vector() -> Any:
    x, labels = vectors()
    return x[:1], labels[:1]


def scaled(factor: float) -> Any:
    x, labels = vectors()
    return x * np.float32(factor), labels


def with_weights() -> Any:
    x, labels = vectors()
    return x, labels, np.arange(7, dtype="float32")


def loader() -> Any:
    x, labels = vectors()
    parts = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(labels))
    return torch.utils.data.DataLoader(parts, batch_size=5)


def nesterov(params: Any) -> Any:
    return torch.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True)


def nesterov_in_keras() -> Any:
    return keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


PLAIN = Pair(torch_plain, keras_plain, vectors)


def changed(change: Any) -> Pair:
    return PLAIN._replace(torch_model=lambda: torch_plain(change))


RIGHT = {
    "one layer three times": Pair(TorchRepeated, keras_repeated, vectors),
    "inputs and outputs by name": Pair(
        TorchNamed, KerasNamed, named, (main_in_torch, main_in_keras)
    ),
    "all weights equal": changed(constant),
    "dead units": changed(dead),
    "a head of zeros": changed(zero_head),
    "tiny weights": changed(tiny),
    "huge inputs": PLAIN._replace(batch=lambda: scaled(1e5)),
    "a batch of one": PLAIN._replace(batch=one_vector),
    "weights of samples": PLAIN._replace(batch=with_weights),
    "a loader": PLAIN._replace(batch=loader),
    "Nesterov's momentum, live": PLAIN._replace(optimizers=(nesterov, nesterov_in_keras)),
    "models in models": PLAIN._replace(keras_model=nested),
    "strides, dilation, groups": Pair(TorchConvolutions, keras_convolutions, images),
    "a frozen part": Pair(TorchResting, keras_resting, images),
    "tied weights and an idle layer": Pair(TorchTied, KerasTied, same_vectors, "mse"),
    "stopped gradients": Pair(TorchDetached, KerasDetached, vectors),
    "training=False, overridden": Pair(TorchNormalized, overridden, images),
    "volumes to sequences": Pair(TorchVolumes, keras_volumes, volumes, "mse"),
    "volumes to volumes": Pair(
        lambda: TorchVolumes(False),
        lambda: keras_volumes(False),
        lambda: volumes((3, 4, 5, 4, 4)),
        "mse",
    ),
    "sequences to sequences": Pair(TorchLines, keras_lines, lines, "mse"),
    "one input with names": Pair(TorchByOne, KerasNamed, named, (main_in_torch, main_in_keras)),
    "a stride by a slice": Pair(TorchConvolutions, lambda: keras_convolutions(sliced=True), images),
}
