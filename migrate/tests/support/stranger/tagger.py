"""A tagger of words: padding, masks, gated units in both directions, weights of classes."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random

IGNORED = -100
OF_CLASSES = (1.0, 2.0, 0.5, 3.0)


class TorchTagger(nn.Module):
    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 6, padding_idx=padding)
        self.rnn = nn.GRU(6, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 4)

    def forward(self, words: Any) -> Any:
        return self.head(self.rnn(self.embed(words))[0])


def keras_tagger(masked: bool = False, reset_after: bool = True, order: int = 1) -> Any:
    words = keras.Input((7,), dtype="int32")
    x = layers.Embedding(12, 6, mask_zero=masked)(words)
    gru = layers.GRU(5, return_sequences=True, reset_after=reset_after)
    x = layers.Bidirectional(gru)(x)
    if order < 0:
        x = x[:, ::-1]
    return keras.Model(words, layers.Dense(4)(x))


def sentences() -> Any:
    """Six sentences, of which each ends in zeros that are not to be tagged."""
    words = random().integers(1, 12, (6, 7))
    tags = random(1).integers(0, 4, (6, 7))
    for row, length in enumerate((7, 5, 3, 6, 4, 7)):
        words[row, length:], tags[row, length:] = 0, IGNORED
    return words, tags


def torch_loss(logits: Any, tags: Any) -> Any:
    return functional.cross_entropy(logits.transpose(1, 2), tags, ignore_index=IGNORED)


def weighted_torch_loss(logits: Any, tags: Any) -> Any:
    weights = torch.tensor(OF_CLASSES, dtype=logits.dtype)
    return functional.cross_entropy(logits.transpose(1, 2), tags, weights, ignore_index=IGNORED)


def each_word(tags: Any, logits: Any) -> Any:
    known = tf.cast(tags != IGNORED, logits.dtype)
    named = tf.where(tags == IGNORED, tf.zeros_like(tags), tags)
    losses = keras.losses.sparse_categorical_crossentropy(named, logits, from_logits=True)
    return losses * known, known, named


def keras_loss(tags: Any, logits: Any) -> Any:
    losses, known, _ = each_word(tags, logits)
    return tf.reduce_sum(losses) / tf.reduce_sum(known)


def over_all_words(tags: Any, logits: Any) -> Any:
    return tf.reduce_mean(each_word(tags, logits)[0])


def mean_of_sentences(tags: Any, logits: Any) -> Any:
    losses, known, _ = each_word(tags, logits)
    return tf.reduce_mean(tf.reduce_sum(losses, 1) / tf.reduce_sum(known, 1))


def weighted_over_words(tags: Any, logits: Any) -> Any:
    losses, known, named = each_word(tags, logits)
    weights = tf.gather(tf.constant(OF_CLASSES, logits.dtype), named)
    return tf.reduce_sum(losses * weights) / tf.reduce_sum(known)


PAIR = Pair(TorchTagger, keras_tagger, sentences, (torch_loss, keras_loss))
RIGHT = {"tagger": PAIR}
FAULTS = {
    "tagger: padding counts in the mean": Fault(
        PAIR._replace(loss=(torch_loss, over_all_words)),
        ("loss",), ("loss",), ("ignore", "pad", "mask", "-100", "all"),
    ),
    "tagger: mean of the sentences' means": Fault(
        PAIR._replace(loss=(torch_loss, mean_of_sentences)),
        ("loss",), ("loss",), ("mean",),
    ),
    "tagger: weighted sum over the number of words": Fault(
        PAIR._replace(loss=(weighted_torch_loss, weighted_over_words)),
        ("loss",), ("loss",), ("weight",),
    ),
    "tagger: reset before": Fault(
        PAIR._replace(keras_model=lambda: keras_tagger(reset_after=False)),
        ("map", "forward"), ("rnn", "bidirectional", "gru"), ("reset_after",),
    ),
    "tagger: padding is masked in Keras": Fault(
        PAIR._replace(keras_model=lambda: keras_tagger(masked=True)),
        ("forward",), ("rnn", "bidirectional", "gru"), ("mask",),
    ),
    "tagger: padding has no gradient in PyTorch": Fault(
        PAIR._replace(torch_model=lambda: TorchTagger(0)),
        ("parameter gradients",), ("embed",), ("padding_idx",),
    ),
    "tagger: time is turned behind both directions": Fault(
        PAIR._replace(keras_model=lambda: keras_tagger(order=-1)),
        ("forward",), ("head", "dense"), ("order", "revers", "turn", "flip"),
    ),
}  # fmt: skip
