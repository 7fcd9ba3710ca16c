"""A vision transformer: patches, a class token, attention written by hand."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random

ADAM = "pytorch:Adam(lr=0.001)"


class TorchPatches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 5, 8))
        self.norm1, self.norm2, self.last = (nn.LayerNorm(8) for _ in range(3))
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 10)

    def attend(self, x: Any) -> Any:
        rows = x.shape[0]
        qkv = self.qkv(x).reshape(rows, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = (q @ k.transpose(-2, -1) * 4**-0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(rows, 5, 8))

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        x = x + self.attend(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.last(x)[:, 0])


class KerasPatches(keras.Model):
    """``plan`` has the faults: the scale, the axis of the softmax, and so on."""

    def __init__(self, **plan: Any) -> None:
        super().__init__()
        self.plan = plan
        self.patch = layers.Conv2D(8, 4, 4)
        self.token = self.add_weight(shape=(1, 1, 8), name="token", initializer="zeros")
        self.places = self.add_weight(shape=(1, 5, 8), name="places", initializer="zeros")
        self.norm1 = layers.LayerNormalization(epsilon=1e-5)
        self.norm2 = layers.LayerNormalization(epsilon=1e-5)
        self.last = layers.LayerNormalization(epsilon=1e-5)
        self.qkv, self.proj = layers.Dense(24), layers.Dense(8)
        self.mlp1, self.mlp2 = layers.Dense(16, activation="silu"), layers.Dense(8)
        self.head = layers.Dense(10)

    def attend(self, x: Any) -> Any:
        q, k, v = tf.split(self.qkv(x), 3, axis=-1)
        if self.plan.get("unturned"):
            q, k, v = (tf.reshape(part, (-1, 2, 5, 4)) for part in (q, k, v))
        else:
            q, k, v = (
                tf.transpose(tf.reshape(part, (-1, 5, 2, 4)), (0, 2, 1, 3)) for part in (q, k, v)
            )
        scores = tf.matmul(q, k, transpose_b=True) * self.plan.get("scale", 4**-0.5)
        joined = tf.matmul(tf.nn.softmax(scores, axis=self.plan.get("axis", -1)), v)
        return self.proj(tf.reshape(tf.transpose(joined, (0, 2, 1, 3)), (-1, 5, 8)))

    def call(self, x: Any) -> Any:
        x = tf.reshape(self.patch(x), (-1, 4, 8))
        token = tf.repeat(self.token, tf.shape(x)[0], axis=0)
        parts = [x, token] if self.plan.get("token last") else [token, x]
        x = tf.concat(parts, 1) + self.places
        if self.plan.get("norm behind"):
            x = self.norm1(x + self.attend(x))
            x = self.norm2(x + self.mlp2(self.mlp1(x)))
        else:
            x = x + self.attend(self.norm1(x))
            x = x + self.mlp2(self.mlp1(self.norm2(x)))
        x = self.last(x)
        return self.head(tf.reduce_mean(x, 1) if self.plan.get("mean") else x[:, 0])


def images() -> Any:
    return random().standard_normal((5, 3, 8, 8)).astype("float32"), random(1).integers(0, 10, 5)


def smoothed(logits: Any, labels: Any) -> Any:
    return functional.cross_entropy(logits, labels, label_smoothing=0.1)


def smoothed_in_keras(labels: Any, logits: Any, share: float = 0.1) -> Any:
    hot = tf.one_hot(labels, 10, dtype=logits.dtype) * (1 - share) + share / 10
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(hot, logits))


PAIR = Pair(TorchPatches, KerasPatches, images, "cross_entropy", (ADAM, ADAM))


def planned(**plan: Any) -> Pair:
    return PAIR._replace(keras_model=lambda: KerasPatches(**plan))


RIGHT = {
    "patches": PAIR,
    "patches, smoothed": PAIR._replace(loss=(smoothed, smoothed_in_keras)),
}
FAULTS = {
    "patches: scaled by the width of all heads": Fault(
        planned(scale=8**-0.5), ("forward",), ("proj", "dense_1", "attend"), ("scale", "factor"),
    ),
    "patches: softmax over the queries": Fault(
        planned(axis=-2), ("forward",), ("proj", "dense_1", "softmax"), ("axis", "softmax"),
    ),
    "patches: heads are reshaped without a transposition": Fault(
        planned(unturned=True), ("forward",), ("proj", "dense_1"),
        ("reshape", "transpos", "head", "order"),
    ),
    "patches: normalized behind the sum": Fault(
        planned(**{"norm behind": True}), ("forward",), ("qkv", "norm1", "dense"),
        ("norm", "order", "before", "behind"),
    ),
    "patches: mean instead of the class token": Fault(
        planned(mean=True), ("forward",), ("head", "dense_4"), ("mean", "first"),
    ),
    "patches: class token last": Fault(
        planned(**{"token last": True}), ("forward",), ("norm1", "layer_normalization"),
        ("order", "concat", "cat("),
    ),
    "patches: labels smoothed in PyTorch only": Fault(
        PAIR._replace(loss=(smoothed, lambda y, x: smoothed_in_keras(y, x, 0.0))),
        ("loss",), ("loss",), ("smooth",),
    ),
}  # fmt: skip
