"""An actor and a critic: two heads, a loss with an advantage."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf

# isort: split
from keras import layers
from torch import nn

from .pair import Fault, Pair, random


class TorchActor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        self.policy, self.value = nn.Linear(16, 4), nn.Linear(16, 1)

    def forward(self, x: Any) -> Any:
        h = self.body(x)
        return {"policy": self.policy(h), "value": self.value(h)}


def keras_actor(stopped: bool = False, second: str = "tanh") -> Any:
    x = keras.Input((6,))
    h = layers.Dense(16, activation="tanh")(x)
    h = layers.Dense(16, activation=second)(h)
    kept = layers.Lambda(tf.stop_gradient)(h) if stopped else h
    return keras.Model(x, {"policy": layers.Dense(4)(h), "value": layers.Dense(1)(kept)})


def played() -> Any:
    states = random().standard_normal((8, 6)).astype("float32")
    returns = random(2).standard_normal(8).astype("float32")
    return states, {"action": random(1).integers(0, 4, 8), "return": returns}


def torch_loss(outputs: Any, targets: Any) -> Any:
    logs = outputs["policy"].log_softmax(1)
    advantage = targets["return"] - outputs["value"].squeeze(1)
    taken = logs.gather(1, targets["action"][:, None]).squeeze(1)
    entropy = -(logs.exp() * logs).sum(1).mean()
    return -(taken * advantage.detach()).mean() + 0.5 * (advantage**2).mean() - 0.1 * entropy


def logs_of(outputs: Any, targets: Any) -> Any:
    logs = tf.nn.log_softmax(outputs["policy"])
    hot = tf.one_hot(targets["action"], 4, dtype=logs.dtype)
    return tf.reduce_sum(logs * hot, 1), -tf.reduce_mean(tf.reduce_sum(tf.exp(logs) * logs, 1))


def keras_loss(targets: Any, outputs: Any) -> Any:
    taken, entropy = logs_of(outputs, targets)
    advantage = targets["return"] - tf.squeeze(outputs["value"], 1)
    policy = -tf.reduce_mean(taken * tf.stop_gradient(advantage))
    return policy + 0.5 * tf.reduce_mean(advantage**2) - 0.1 * entropy


def attached(targets: Any, outputs: Any) -> Any:
    taken, entropy = logs_of(outputs, targets)
    advantage = targets["return"] - tf.squeeze(outputs["value"], 1)
    policy = -tf.reduce_mean(taken * advantage)
    return policy + 0.5 * tf.reduce_mean(advantage**2) - 0.1 * entropy


def spread_out(targets: Any, outputs: Any) -> Any:
    taken, entropy = logs_of(outputs, targets)
    advantage = targets["return"] - outputs["value"]
    policy = -tf.reduce_mean(taken * tf.stop_gradient(advantage))
    return policy + 0.5 * tf.reduce_mean(advantage**2) - 0.1 * entropy


def less_entropy(targets: Any, outputs: Any) -> Any:
    return keras_loss(targets, outputs) + 0.2 * logs_of(outputs, targets)[1]


PAIR = Pair(TorchActor, keras_actor, played, (torch_loss, keras_loss))
RIGHT = {"actor": PAIR}
FAULTS = {
    "actor: the advantage is not detached": Fault(
        PAIR._replace(loss=(torch_loss, attached)),
        ("gradient of the output",), ("value", "output"), ("stop_gradient", "detach", "constant"),
    ),
    "actor: a column less a row": Fault(
        PAIR._replace(loss=(torch_loss, spread_out)),
        ("loss",), ("loss",), ("broadcast", "shape", "squeeze"),
    ),
    "actor: the sign of the entropy": Fault(
        PAIR._replace(loss=(torch_loss, less_entropy)), ("loss",), ("loss",), ("sign", "entropy"),
    ),
    "actor: the critic does not train the body": Fault(
        PAIR._replace(keras_model=lambda: keras_actor(stopped=True)),
        ("backward",), ("body.3", "dense_1"), ("stop_gradient", "detach", "no gradient", "stop"),
    ),
    "actor: one activation forgotten": Fault(
        PAIR._replace(keras_model=lambda: keras_actor(second="linear")),
        ("forward",), ("body.3", "dense_1", "policy", "dense_2"), ("body.3 (act)", "tanh"),
    ),
}  # fmt: skip
