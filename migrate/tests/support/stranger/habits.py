"""A small network of images, and what people do around it: batches, optimizers, dtypes."""

from typing import Any

from samestep.parity.tests.support.frameworks import keras, tf, torch

# isort: split
from keras import layers
from torch import nn
from torch.nn import functional

from .pair import Fault, Pair, random


def torch_habits(rate: float = 0.4) -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(3, 6), nn.ReLU(), nn.Dropout(rate), nn.Flatten(),
        nn.Linear(96, 8), nn.Softsign(), nn.Linear(8, 5),
    )  # fmt: skip


def keras_habits(**plan: Any) -> Any:
    last: list[Any] = [layers.Activation("softmax")] if plan.get("softmax") else []
    return keras.Sequential([
        layers.Input((6, 6, 3)),
        layers.Conv2D(6, 3, use_bias=plan.get("bias", True)),
        layers.GroupNormalization(plan.get("groups", 3), epsilon=plan.get("epsilon", 1e-5)),
        layers.ReLU(plan.get("limit")), layers.Dropout(plan.get("rate", 0.4)), layers.Flatten(),
        layers.Dense(8, activation=plan.get("soft", "softsign"), dtype=plan.get("dtype")),
        layers.Dense(5), *last,
    ])  # fmt: skip


def dropped_first() -> Any:
    """ReLU and dropout exchange without a difference."""
    return keras.Sequential([
        layers.Input((6, 6, 3)), layers.Conv2D(6, 3), layers.GroupNormalization(3, epsilon=1e-5),
        layers.Dropout(0.4), layers.ReLU(), layers.Flatten(),
        layers.Dense(8, activation="softsign"), layers.Dense(5),
    ])  # fmt: skip


def images() -> Any:
    return random().standard_normal((6, 3, 6, 6)).astype("float32"), random(1).integers(0, 4, 6)


def sides(change: Any) -> Any:
    """The batch of PyTorch, and of Keras with channels last and a change."""
    inputs, labels = images()
    return {"pytorch": (inputs, labels), "keras": change(inputs.transpose(0, 2, 3, 1), labels)}


def shuffled(inputs: Any, labels: Any) -> Any:
    order = random(3).permutation(len(labels))
    return inputs[order], labels[order]


def head_only(params: Any) -> Any:
    return torch.optim.SGD(list(params)[4:], lr=0.05)


def live(params: Any) -> Any:
    return torch.optim.SGD(params, lr=0.05)


def two_rates(params: Any) -> Any:
    first, last = list(params)[:4], list(params)[4:]
    return torch.optim.SGD([{"params": first, "lr": 0.005}, {"params": last}], lr=0.05)


def live_in_keras() -> Any:
    return keras.optimizers.SGD(0.05)


def scaled_in_keras() -> Any:
    return keras.optimizers.SGD(0.05, gradient_accumulation_steps=2)


def divergence(logits: Any, labels: Any) -> Any:
    hot = functional.one_hot(labels, 5).to(logits.dtype) * 0.8 + 0.04
    return functional.kl_div(logits.log_softmax(1), hot, reduction="batchmean")


def divergence_in_keras(labels: Any, logits: Any, divisor: float = 1.0) -> Any:
    hot = tf.one_hot(labels, 5, dtype=logits.dtype) * 0.8 + 0.04
    parts = hot * (tf.math.log(hot) - tf.nn.log_softmax(logits))
    return tf.reduce_mean(tf.reduce_sum(parts, 1)) / divisor


def mean_divergence(labels: Any, logits: Any) -> Any:
    return divergence_in_keras(labels, logits, 5.0)


def squared(logits: Any, labels: Any) -> Any:
    hot = functional.one_hot(labels, 5).to(logits.dtype)
    return functional.mse_loss(logits.softmax(1), hot)


def squared_in_keras(labels: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.square(logits - tf.one_hot(labels, 5, dtype=logits.dtype)))


def logged(logits: Any, labels: Any) -> Any:
    return functional.nll_loss(logits, labels)


def entropy(labels: Any, logits: Any) -> Any:
    return tf.reduce_mean(
        keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    )


def with_a_margin(labels: Any, logits: Any) -> Any:
    """As for a classifier of faces: the label's logit is lowered."""
    return entropy(labels, logits - 0.3 * tf.one_hot(labels, 5, dtype=logits.dtype))


PAIR = Pair(torch_habits, keras_habits, images)
LIVE = PAIR._replace(optimizers=(live, live_in_keras))


def planned(**plan: Any) -> Pair:
    return PAIR._replace(keras_model=lambda: keras_habits(**plan))


def given(change: Any) -> Pair:
    return PAIR._replace(batch=lambda: sides(change))


RIGHT = {
    "habits": PAIR,
    "habits, live": LIVE,
    "habits, dropout first": PAIR._replace(keras_model=dropped_first),
    "habits, two batches": given(lambda inputs, labels: (inputs, labels)),
    "habits, divergence": PAIR._replace(loss=(divergence, divergence_in_keras)),
}
FAULTS = {
    "habits: one group": Fault(planned(groups=1), ("forward",), ("group_norm",), ("groups",)),
    "habits: Keras' own epsilon": Fault(
        planned(epsilon=1e-3), ("forward",), ("group_norm",), ("epsilon",)
    ),
    "habits: the rate is what stays": Fault(
        planned(rate=0.6), ("forward",), ("dropout",), ("rate", "0.6")
    ),
    "habits: a capped ReLU": Fault(
        planned(limit=1.0), ("forward",), ("re_lu",), ("max_value", "cap", "1.0")
    ),
    "habits: tanh for softsign": Fault(
        planned(soft="tanh"), ("forward",), ("6 ", "dense.act"), ("tanh", "softsign")
    ),
    "habits: no bias in Keras": Fault(
        planned(bias=False), ("map",), ("0.bias",), ("bias",)
    ),
    "habits: softmax before a loss of logits": Fault(
        planned(softmax=True), ("forward", "loss"), ("output", "softmax", "activation", "loss"),
        ("softmax", "from_logits"),
    ),
    "habits: one layer in half precision": Fault(
        planned(dtype="mixed_float16"), ("forward",), ("dense", "5 "), ("float16", "dtype"),
    ),
    "habits: channels in the order blue, green, red": Fault(
        given(lambda inputs, labels: (inputs[..., ::-1], labels)),
        ("batch",), ("inputs",), ("channel", "order", "revers", "flip"),
    ),
    "habits: height and width exchanged": Fault(
        given(lambda inputs, labels: (inputs.transpose(0, 2, 1, 3), labels)),
        ("batch",), ("inputs",), ("height", "transpos", "axes", "another order"),
    ),
    "habits: labels begin at 1": Fault(
        given(lambda inputs, labels: (inputs, labels + 1)),
        ("batch",), ("targets",), ("plus", "1", "offset", "label"),
    ),
    "habits: rows in another order": Fault(
        given(shuffled), ("batch",), ("inputs",), ("order", "shuffl", "row", "permut"),
    ),
    "habits: the optimizer has the head only": Fault(
        LIVE._replace(optimizers=(head_only, live_in_keras)),
        ("weights after",), ("0.", "1.", "conv", "group"), ("optimizer", "not", "param", "rate"),
    ),
    "habits: a smaller rate for the first layers": Fault(
        LIVE._replace(optimizers=(two_rates, live_in_keras)),
        ("weights after",), ("0.", "conv"), ("rate", "group", "lr"),
    ),
    "habits: Keras gathers two batches": Fault(
        LIVE._replace(optimizers=(live, scaled_in_keras)),
        ("weights after",), ("0.", "conv"), ("accumulat", "gather"),
    ),
    "habits: divergence over classes": Fault(
        PAIR._replace(loss=(divergence, mean_divergence)),
        ("loss",), ("loss",), ("5 times", "batchmean", "5", "0.2"),
    ),
    "habits: softmax forgotten in the loss": Fault(
        PAIR._replace(loss=(squared, squared_in_keras)), ("loss",), ("loss",), ("softmax",),
    ),
    "habits: log_softmax forgotten": Fault(
        PAIR._replace(loss=(logged, entropy)), ("loss",), ("loss",),
        ("log_softmax", "log probabilities", "logits", "nll", "likelihood"),
    ),
    "habits: a margin in Keras": Fault(
        PAIR._replace(loss=("cross_entropy", with_a_margin)), ("loss",), ("loss",), ("margin",),
    ),
}  # fmt: skip
