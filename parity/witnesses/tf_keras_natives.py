"""tf_keras.optimizers.legacy, eager and in a graph."""

import numpy as np

from parity.court import Trial
from reference.dialects import Call

NEEDS = ("tensorflow", "tf_keras")
TITLE = "tf_keras.optimizers.legacy"


def kinds(name: str) -> list[str]:
    """Eager and graph."""
    return ["eager", "graph"]


def run(call: Call, kind: str, dtype: str, trial: Trial, each_step: str = "") -> np.ndarray:
    """Where the native goes; ``each_step`` is code for the optimizer, run before each step, for eager steps alone."""
    import tensorflow as tf
    from tf_keras.optimizers import legacy

    variable = tf.Variable(trial.start, dtype=dtype)
    optimizer = getattr(legacy, call.name)(**call.arguments)

    def apply(gradient: tf.Tensor) -> None:
        optimizer.apply_gradients([(gradient, variable)])

    taken, thetas = tf.function(apply, autograph=False) if kind == "graph" else apply, []
    for t, (gradient, lr) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
        optimizer.learning_rate = lr
        exec(each_step, {"optimizer": optimizer, "t": t})
        taken(tf.constant(gradient.astype(dtype)))
        thetas.append(variable.numpy())
    return np.array(thetas)
