"""Attention of the frameworks' own layers over sentences of unequal length."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf

# isort: split
from keras import layers
from torch import nn

from .pair import Fault, Pair, random


class TorchPadded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(15, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, words: Any, empty: Any) -> Any:
        x = self.words(words)
        y = self.attention(x, x, x, key_padding_mask=empty, need_weights=False)[0]
        x = self.norm(x + y)
        share = (~empty).to(x.dtype)[:, :, None]
        return self.head((x * share).sum(1) / share.sum(1))


class KerasPadded(keras.Model):
    def __init__(self, **plan: Any) -> None:
        super().__init__()
        self.plan = plan
        self.words = layers.Embedding(15, 8)
        self.attention = layers.MultiHeadAttention(2, plan.get("size", 4))
        self.norm, self.head = layers.LayerNormalization(epsilon=1e-5), layers.Dense(4)

    def call(self, inputs: Any) -> Any:
        words, empty = inputs
        x = self.words(words)
        seen = tf.logical_not(empty)
        mask = (empty if self.plan.get("inverted") else seen)[:, None, :]
        if self.plan.get("unmasked"):
            mask = None
        y = self.attention(x, x, attention_mask=mask, use_causal_mask=self.plan.get("ahead", False))
        y = y + x if not self.plan.get("unadded") else y
        x = self.norm(y)
        if self.plan.get("all"):
            return self.head(tf.reduce_mean(x, 1))
        share = tf.cast(seen, x.dtype)[:, :, None]
        return self.head(tf.reduce_sum(x * share, 1) / tf.reduce_sum(share, 1))


def sentences() -> Any:
    words = random().integers(1, 15, (6, 7))
    empty = random().integers(3, 7, 6)[:, None] <= random().integers(0, 1, 7) + range(7)
    words[empty] = 0
    return (words, empty), random(1).integers(0, 4, 6)


def words_moved() -> Any:
    """Keras' vocabulary begins at another number."""
    (words, empty), labels = sentences()
    moved = (words + 1) % 15
    return {"pytorch": ((words, empty), labels), "keras": ((moved, empty), labels)}


PAIR = Pair(TorchPadded, KerasPadded, sentences)


def planned(**plan: Any) -> Pair:
    return PAIR._replace(keras_model=lambda: KerasPadded(**plan))


RIGHT = {"padded": PAIR}
FAULTS = {
    "padded: the mask is the other way": Fault(
        planned(inverted=True), ("forward",), ("attention",), ("mask", "invert"),
    ),
    "padded: no mask": Fault(
        planned(unmasked=True), ("forward",), ("attention",), ("mask",),
    ),
    "padded: causal in Keras": Fault(
        planned(ahead=True), ("forward",), ("attention",), ("causal", "mask"),
    ),
    "padded: every head has the whole width": Fault(
        planned(size=8), ("map",), ("attention",), ("key_dim", "shape"),
    ),
    "padded: the skip is forgotten": Fault(
        planned(unadded=True), ("forward",), ("norm",), ("add", "skip", "residual"),
    ),
    "padded: padding counts in the mean": Fault(
        planned(all=True), ("forward",), ("head", "dense"), ("mean", "mask", "pad"),
    ),
    "padded: another number for each word": Fault(
        PAIR._replace(batch=words_moved), ("batch",), ("inputs",), ("plus", "1", "shift", "offset"),
    ),
}  # fmt: skip
