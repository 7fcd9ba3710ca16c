"""Two images through one encoder, and a contrastive loss."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


class TorchSiamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(64, 5)

    def encode(self, image: Any) -> Any:
        x = functional.relu(self.norm(self.conv(image)))
        return functional.normalize(self.out(x.flatten(1)), dim=1)

    def forward(self, first: Any, second: Any) -> Any:
        return torch.linalg.vector_norm(self.encode(first) - self.encode(second), dim=1)


def encoder() -> Any:
    return keras.Sequential([
        layers.Input((6, 6, 2)), layers.Conv2D(4, 3),
        layers.BatchNormalization(epsilon=1e-5, momentum=0.9), layers.ReLU(), layers.Flatten(),
        layers.Dense(5),
    ])  # fmt: skip


class KerasSiamese(keras.Model):
    def __init__(self, axis: int = 1, shared: bool = True, joined: bool = False) -> None:
        super().__init__()
        self.axis, self.joined = axis, joined
        self.encoder = encoder()
        self.second = self.encoder if shared else encoder()

    def call(self, images: Any) -> Any:
        first, second = images
        if self.joined:
            a, b = tf.split(self.encoder(tf.concat([first, second], 0)), 2)
        else:
            a, b = self.encoder(first), self.second(second)
        a, b = tf.math.l2_normalize(a, self.axis), tf.math.l2_normalize(b, self.axis)
        return tf.norm(a - b, axis=1)


def two_images() -> Any:
    images = random().standard_normal((2, 6, 2, 6, 6)).astype("float32")
    return (images[0], images[1] + 0.5), random(1).integers(0, 2, 6).astype("float32")


def torch_loss(distance: Any, same: Any) -> Any:
    far = functional.relu(1.2 - distance) ** 2
    return torch.mean(same * distance**2 + (1 - same) * far)


def keras_loss(same: Any, distance: Any) -> Any:
    far = tf.nn.relu(1.2 - distance) ** 2
    return tf.reduce_mean(same * distance**2 + (1 - same) * far)


def margin_of_squares(same: Any, distance: Any) -> Any:
    far = tf.nn.relu(1.2 - distance**2)
    return tf.reduce_mean(same * distance**2 + (1 - same) * far)


def labels_turned(same: Any, distance: Any) -> Any:
    return keras_loss(1 - same, distance)


PAIR = Pair(TorchSiamese, KerasSiamese, two_images, (torch_loss, keras_loss))
RIGHT = {"siamese": PAIR}
FAULTS = {
    "siamese: the margin is taken from the square": Fault(
        PAIR._replace(loss=(torch_loss, margin_of_squares)), ("loss",), ("loss",), ("margin",),
    ),
    "siamese: label 1 means different": Fault(
        PAIR._replace(loss=(torch_loss, labels_turned)),
        ("loss",), ("loss",), ("label", "target", "1 -"),
    ),
    "siamese: two encoders": Fault(
        PAIR._replace(keras_model=lambda: KerasSiamese(shared=False)),
        ("map",), ("conv", "norm", "out", "sequential"), ("share", "tied", "twice", "once"),
    ),
    "siamese: one call with both batches": Fault(
        PAIR._replace(keras_model=lambda: KerasSiamese(joined=True)),
        ("forward",), ("norm", "encode", "sequential", "conv"), ("batch", "call", "concat"),
    ),
    "siamese: normalized over the batch": Fault(
        PAIR._replace(keras_model=lambda: KerasSiamese(axis=0)),
        ("forward",), ("output", "siamese", "model"), ("axis", "normali"),
    ),
}  # fmt: skip
