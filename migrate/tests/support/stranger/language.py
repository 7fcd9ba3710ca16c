"""A language model: tied words, fixed positions, a causal mask, labels one word on."""

from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random

ADAM = "pytorch:Adam(lr=0.001)"


def waves(joined: bool = False) -> Any:
    """Sines and cosines of places, alternating, or one behind the other if ``joined``."""
    angles = np.arange(6)[:, None] / 10000 ** (np.arange(0, 8, 2) / 8)
    pair = [np.sin(angles), np.cos(angles)]
    return np.concatenate(pair, 1) if joined else np.stack(pair, 2).reshape(6, 8)


class TorchLanguage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 8)
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
        self.up, self.down, self.norm = nn.Linear(8, 16), nn.Linear(16, 8), nn.LayerNorm(8)
        self.register_buffer("places", torch.tensor(waves(), dtype=torch.float32))

    def forward(self, words: Any) -> Any:
        x = self.words(words) * 8**0.5 + self.places
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        ahead = torch.ones(6, 6, dtype=torch.bool).triu(1)
        x = x + self.o(scores.masked_fill(ahead, float("-inf")).softmax(2) @ self.v(x))
        x = x + self.down(functional.mish(self.up(x)))
        return self.norm(x) @ self.words.weight.T


class KerasLanguage(keras.Model):
    def __init__(self, **plan: Any) -> None:
        super().__init__()
        self.plan = plan
        self.words = layers.Embedding(12, 8)
        self.q, self.k, self.v, self.o = (layers.Dense(8, use_bias=False) for _ in range(4))
        self.up, self.down = layers.Dense(16, activation="mish"), layers.Dense(8)
        self.norm = layers.LayerNormalization(epsilon=1e-5)
        self.out = layers.Dense(12, use_bias=False) if plan.get("untied") else None

    def mask(self, scores: Any) -> Any:
        seen = tf.linalg.band_part(tf.ones((6, 6), scores.dtype), -1, self.plan.get("ahead", 0))
        if self.plan.get("times"):
            return scores * seen
        return tf.where(seen > 0, scores, tf.constant(float("-inf"), scores.dtype))

    def call(self, words: Any) -> Any:
        places = waves(self.plan.get("joined", False)).astype("float32")
        x = self.words(words) * self.plan.get("scale", 8**0.5)
        x = x + tf.cast(places, x.dtype)
        scores = tf.matmul(self.q(x), self.k(x), transpose_b=True) / 8**0.5
        x = x + self.o(tf.matmul(tf.nn.softmax(self.mask(scores)), self.v(x)))
        x = x + self.down(self.up(x))
        if self.out:
            return self.out(self.norm(x))
        return tf.matmul(self.norm(x), self.words.embeddings, transpose_b=True)


def sentences() -> Any:
    words = random().integers(0, 12, (5, 6))
    return words, words


def next_word(logits: Any, words: Any) -> Any:
    return functional.cross_entropy(logits[:, :-1].reshape(-1, 12), words[:, 1:].reshape(-1))


def next_in_keras(words: Any, logits: Any) -> Any:
    losses = keras.losses.sparse_categorical_crossentropy(
        words[:, 1:], logits[:, :-1], from_logits=True
    )
    return tf.reduce_mean(losses)


def same_word(words: Any, logits: Any) -> Any:
    return tf.reduce_mean(
        keras.losses.sparse_categorical_crossentropy(words, logits, from_logits=True)
    )


def word_before(words: Any, logits: Any) -> Any:
    losses = keras.losses.sparse_categorical_crossentropy(
        words[:, :-1], logits[:, 1:], from_logits=True
    )
    return tf.reduce_mean(losses)


PAIR = Pair(TorchLanguage, KerasLanguage, sentences, (next_word, next_in_keras), (ADAM, ADAM))


def planned(**plan: Any) -> Pair:
    return PAIR._replace(keras_model=lambda: KerasLanguage(**plan))


RIGHT = {"language": PAIR}
FAULTS = {
    "language: words are not scaled": Fault(
        planned(scale=1.0), ("forward",), ("q ", "k ", "v ", "dense"), ("scale", "factor", "times"),
    ),
    "language: sees one word ahead": Fault(
        planned(ahead=1), ("forward",), ("o ", "dense_3"), ("mask", "causal", "ahead"),
    ),
    "language: scores are masked with 0": Fault(
        planned(times=True), ("forward",), ("o ", "dense_3"), ("mask", "inf"),
    ),
    "language: the output is not tied": Fault(
        planned(untied=True), ("map",), ("words", "out", "dense", "embedding"),
        ("tie", "share", "embedding"),
    ),
    "language: labels are not shifted": Fault(
        PAIR._replace(loss=(next_word, same_word)), ("loss",), ("loss",), ("shift", "next"),
    ),
    "language: labels are shifted the other way": Fault(
        PAIR._replace(loss=(next_word, word_before)), ("loss",), ("loss",), ("shift", "next"),
    ),
    "language: cosines behind the sines": Fault(
        planned(joined=True), ("forward",), ("q ", "k ", "v ", "dense"),
        ("position", "places", "constant"),
    ),
}  # fmt: skip
