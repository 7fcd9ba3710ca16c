"""Ratings of users: factors, biases, a mean that is given by hand."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn

from .pair import Fault, Pair, random


class TorchRatings(nn.Module):
    def __init__(self, initial: float = 3.5) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(7, 4), nn.Embedding(9, 4)
        self.user_bias, self.item_bias = nn.Embedding(7, 1), nn.Embedding(9, 1)
        self.mean = nn.Parameter(torch.tensor(initial))

    def forward(self, user: Any, item: Any) -> Any:
        fit = (self.users(user) * self.items(item)).sum(-1)
        return fit + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0] + self.mean


class KerasRatings(keras.Model):
    def __init__(self, mean: bool = False, decay: Any = None, bounded: bool = False) -> None:
        super().__init__()
        self.averaged, self.bounded = mean, bounded
        self.users = layers.Embedding(7, 4, embeddings_regularizer=decay)
        self.items = layers.Embedding(9, 4)
        self.user_bias, self.item_bias = layers.Embedding(7, 1), layers.Embedding(9, 1)
        self.mean = self.add_weight(shape=(), name="mean", initializer="zeros")

    def call(self, inputs: Any) -> Any:
        user, item = inputs
        products = self.users(user) * self.items(item)
        fit = tf.reduce_mean(products, -1) if self.averaged else tf.reduce_sum(products, -1)
        biases = self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0]
        rating = fit + biases + self.mean
        return 1 + 4 * tf.sigmoid(rating) if self.bounded else rating


def rated() -> Any:
    ratings = random(2).integers(1, 6, 8).astype("float32")
    return (random().integers(0, 7, 8), random(1).integers(0, 9, 8)), ratings


def scaled_in_keras() -> Any:
    inputs, ratings = rated()
    return {"pytorch": (inputs, ratings), "keras": (inputs, (ratings - 1) / 4)}


def turned_in_keras() -> Any:
    (user, item), ratings = rated()
    return {"pytorch": ((user, item), ratings), "keras": ((item % 7, user), ratings)}


def root(outputs: Any, targets: Any) -> Any:
    return torch.sqrt(((outputs - targets) ** 2).mean())


def square(targets: Any, outputs: Any) -> Any:
    return tf.reduce_mean((outputs - targets) ** 2)


def copied(torch_model: Any, keras_model: Any, plan: str) -> None:
    for name in ("users", "items", "user_bias", "item_bias"):
        source = name
        if plan == "swapped":
            source = {"user_bias": "users", "users": "users"}.get(name, name)
        weight = getattr(torch_model, source).weight.detach().numpy().copy()
        getattr(keras_model, name).set_weights([weight[:, :1] if "bias" in name else weight])
    if plan != "forgotten":
        keras_model.mean.assign(torch_model.mean.item())


def converting(plan: str) -> Pair:
    return PAIR._replace(convert=lambda ours, theirs: copied(ours, theirs, plan))


PAIR = Pair(TorchRatings, KerasRatings, rated, "mse")
RIGHT = {"ratings": PAIR, "ratings, converted": converting("")}
FAULTS = {
    "ratings: mean of the products": Fault(
        PAIR._replace(keras_model=lambda: KerasRatings(mean=True)),
        ("forward",), ("output",), ("mean", "sum", "factor"),
    ),
    "ratings: bounded in Keras": Fault(
        PAIR._replace(keras_model=lambda: KerasRatings(bounded=True)),
        ("forward",), ("output",), ("sigmoid", "activation"),
    ),
    "ratings: users are regularized in Keras": Fault(
        PAIR._replace(keras_model=lambda: KerasRatings(decay=keras.regularizers.L2(0.01))),
        ("loss",), ("loss",), ("regulariz", "penalt"),
    ),
    "ratings: the root of the mean square": Fault(
        PAIR._replace(loss=(root, square)), ("loss",), ("loss",), ("root", "sqrt"),
    ),
    "ratings: targets are scaled in Keras": Fault(
        PAIR._replace(batch=scaled_in_keras), ("batch",), ("",),
        ("scale", "times", "factor", "0.25", "/ 4"),
    ),
    "ratings: inputs in another order": Fault(
        PAIR._replace(batch=turned_in_keras), ("batch",), ("",),
        ("order", "exchang", "swap", "input"),
    ),
    "ratings: the mean is not copied": Fault(
        converting("forgotten"), ("weights",), ("mean",), ("initial", "copied", "not "),
    ),
    "ratings: the bias has the factors": Fault(
        converting("swapped"), ("weights",), ("user_bias", "embedding_2"),
        ("users.weight", "other", "users"),
    ),
}  # fmt: skip
