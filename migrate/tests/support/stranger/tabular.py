"""A table with categories and numbers: embeddings, joined columns, decay of weights."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random

ADAMW = "torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)"


class TorchTable(nn.Module):
    def __init__(self, slopes: int = 8, frozen: bool = False) -> None:
        super().__init__()
        self.city, self.colour = nn.Embedding(5, 3), nn.Embedding(4, 3)
        self.norm = nn.BatchNorm1d(6)
        self.hidden, self.act, self.out = nn.Linear(12, 8), nn.PReLU(slopes), nn.Linear(8, 1)
        self.city.requires_grad_(not frozen)

    def forward(self, kinds: Any, numbers: Any) -> Any:
        parts = [self.city(kinds[:, 0]), self.colour(kinds[:, 1]), self.norm(numbers)]
        return self.out(self.act(self.hidden(torch.cat(parts, 1)))).squeeze(1)


class KerasTable(keras.Model):
    def __init__(
        self, order: Any = (0, 1, 2), swapped: bool = False, frozen: bool = False, decay: Any = None
    ) -> None:
        super().__init__()
        self.order, self.swapped = order, swapped
        self.city, self.colour = layers.Embedding(5, 3), layers.Embedding(4, 3)
        self.norm = layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
        self.hidden = layers.Dense(8, kernel_regularizer=decay)
        self.act, self.out = layers.PReLU(), layers.Dense(1, kernel_regularizer=decay)
        self.city.trainable = not frozen

    def call(self, inputs: Any, training: Any = None) -> Any:
        kinds, numbers = inputs
        parts = [self.city(kinds[:, 0]), self.colour(kinds[:, 1])]
        parts.append(self.norm(numbers, training=training))
        joined = tf.concat([parts[place] for place in self.order], 1)
        return tf.squeeze(self.out(self.act(self.hidden(joined))), 1)


def rows() -> Any:
    kinds, numbers = random().integers(0, 4, (9, 2)), random(1).standard_normal((9, 6))
    return (kinds, numbers.astype("float32")), random(2).integers(0, 2, 9).astype("float32")


def torch_loss(logits: Any, bought: Any) -> Any:
    weight = torch.tensor(3.0, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, bought, pos_weight=weight)


def keras_loss(bought: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(bought, logits, 3.0))


def unweighted(bought: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(bought, logits))


def divided_by_weights(bought: Any, logits: Any) -> Any:
    weights = 1 + 2 * bought
    losses = tf.nn.sigmoid_cross_entropy_with_logits(bought, logits)
    return tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)


def groups(params: Any) -> Any:
    params = list(params)
    matrices = [p for p in params if p.ndim > 1]
    vectors = [p for p in params if p.ndim <= 1]
    parts = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.SGD(parts, lr=0.01)


def decays_all() -> Any:
    return keras.optimizers.SGD(0.01, weight_decay=0.05)


PAIR = Pair(TorchTable, KerasTable, rows, (torch_loss, keras_loss), (ADAMW, ADAMW))
RIGHT = {
    "table": PAIR,
    "table, frozen": PAIR._replace(
        torch_model=lambda: TorchTable(frozen=True), keras_model=lambda: KerasTable(frozen=True)
    ),
}
FAULTS = {
    "table: no weight of the positive class": Fault(
        PAIR._replace(loss=(torch_loss, unweighted)), ("loss",), ("loss",), ("weight",),
    ),
    "table: divided by the weights": Fault(
        PAIR._replace(loss=(torch_loss, divided_by_weights)),
        ("loss",), ("loss",), ("weight", "factor", "times"),
    ),
    "table: the columns are joined in another order": Fault(
        PAIR._replace(keras_model=lambda: KerasTable(order=(2, 0, 1))),
        ("forward",), ("hidden", "dense", "cat"), ("order", "concat", "cat("),
    ),
    "table: one slope": Fault(
        PAIR._replace(torch_model=lambda: TorchTable(slopes=1)),
        ("map",), ("act", "p_re_lu"), ("shape", "num_parameters", "shared_axes", "slope"),
    ),
    "table: frozen in Keras": Fault(
        PAIR._replace(keras_model=lambda: KerasTable(frozen=True)),
        ("backward", "parameter gradients"), ("city", "embedding"),
        ("trainable", "frozen", "fixed", "requires_grad"),
    ),
    "table: frozen in PyTorch": Fault(
        PAIR._replace(torch_model=lambda: TorchTable(frozen=True)),
        ("backward", "parameter gradients"), ("city", "embedding"),
        ("trainable", "frozen", "fixed", "requires_grad"),
    ),
    "table: Adam's decay in PyTorch": Fault(
        PAIR._replace(optimizers=(ADAMW.replace("AdamW", "Adam"), ADAMW)),
        ("weights after",), ("",), ("decay", "decoupled"),
    ),
    "table: biases decay in Keras": Fault(
        PAIR._replace(optimizers=(groups, decays_all)),
        ("weights after",), ("bias", "beta", "gamma"), ("decay",),
    ),
    "table: a regularizer for the decay": Fault(
        PAIR._replace(
            keras_model=lambda: KerasTable(decay=keras.regularizers.L2(0.025)),
            optimizers=("pytorch:SGD(lr=0.05, weight_decay=0.05)", "keras:SGD(learning_rate=0.05)"),
        ),
        ("loss",), ("",), ("regulariz", "decay"),
    ),
}  # fmt: skip
