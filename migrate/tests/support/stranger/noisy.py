"""A variational autoencoder whose noise is an input; its loss has two parts."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


class TorchNoisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(12, 8), nn.Softplus())
        self.mean, self.spread = nn.Linear(8, 3), nn.Linear(8, 3)
        self.decode = nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 12))

    def forward(self, x: Any, noise: Any) -> Any:
        h = self.encode(x)
        mean, spread = self.mean(h), self.spread(h)
        return self.decode(mean + noise * (spread / 2).exp()), mean, spread


class KerasNoisy(keras.Model):
    def __init__(self, half: float = 0.5, stopped: bool = False) -> None:
        super().__init__()
        self.half, self.stopped = half, stopped
        self.encode = layers.Dense(8, activation="softplus")
        self.mean, self.spread = layers.Dense(3), layers.Dense(3)
        self.hidden, self.out = layers.Dense(8, activation="elu"), layers.Dense(12)

    def call(self, inputs: Any) -> Any:
        x, noise = inputs
        h = self.encode(x)
        mean, spread = self.mean(h), self.spread(h)
        z = mean + noise * tf.exp(self.half * spread)
        if self.stopped:
            z = tf.stop_gradient(z)
        return self.out(self.hidden(z)), mean, spread


def shares_with_noise() -> Any:
    x = random().uniform(size=(6, 12)).astype("float32")
    return (x, random(1).standard_normal((6, 3)).astype("float32")), x


def torch_loss(outputs: Any, x: Any) -> Any:
    logits, mean, spread = outputs
    entropy = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    distance = -0.5 * torch.sum(1 + spread - mean**2 - spread.exp())
    return (entropy + distance) / x.shape[0]


def parts(x: Any, outputs: Any) -> Any:
    logits, mean, spread = outputs
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
    return entropy, -0.5 * (1 + spread - mean**2 - tf.exp(spread))


def keras_loss(x: Any, outputs: Any) -> Any:
    entropy, distance = parts(x, outputs)
    return tf.reduce_mean(tf.reduce_sum(entropy, 1)) + tf.reduce_mean(tf.reduce_sum(distance, 1))


def mean_of_entropies(x: Any, outputs: Any) -> Any:
    entropy, distance = parts(x, outputs)
    return tf.reduce_mean(entropy) + tf.reduce_mean(tf.reduce_sum(distance, 1))


def mean_of_distances(x: Any, outputs: Any) -> Any:
    entropy, distance = parts(x, outputs)
    return tf.reduce_mean(tf.reduce_sum(entropy, 1)) + tf.reduce_mean(distance)


def spread_without_exp(x: Any, outputs: Any) -> Any:
    entropy, _ = parts(x, outputs)
    _, mean, spread = outputs
    distance = -0.5 * (1 + spread - mean**2 - spread)
    return tf.reduce_mean(tf.reduce_sum(entropy, 1)) + tf.reduce_mean(tf.reduce_sum(distance, 1))


PAIR = Pair(TorchNoisy, KerasNoisy, shares_with_noise, (torch_loss, keras_loss))
RIGHT = {"noisy": PAIR}
FAULTS = {
    "noisy: mean of the first part": Fault(
        PAIR._replace(loss=(torch_loss, mean_of_entropies)), ("loss",), ("loss",),
        ("mean", "sum", "part"),
    ),
    "noisy: mean of the second part": Fault(
        PAIR._replace(loss=(torch_loss, mean_of_distances)), ("loss",), ("loss",),
        ("mean", "sum", "part"),
    ),
    "noisy: exp forgotten in the loss": Fault(
        PAIR._replace(loss=(torch_loss, spread_without_exp)), ("loss",), ("loss",), ("exp",),
    ),
    "noisy: the variance for the deviation": Fault(
        PAIR._replace(keras_model=lambda: KerasNoisy(half=1.0)),
        ("forward",), ("hidden", "dense_3", "decode.0"),
        ("half", "0.5", "factor", "scale", "times"),
    ),
    "noisy: the gradient stops at the sample": Fault(
        PAIR._replace(keras_model=lambda: KerasNoisy(stopped=True)),
        ("backward",), ("mean", "spread", "dense_1", "dense_2"),
        ("stop_gradient", "detach", "no gradient", "stop"),
    ),
}  # fmt: skip
