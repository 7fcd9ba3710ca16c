"""tf_keras.optimizers.legacy, eager and in a graph."""

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call, tf_keras

from . import kernels

NEEDS = ("tensorflow", "tf_keras")
TITLE = "tf_keras.optimizers.legacy"


def kinds(name: str) -> list[str]:
    """Eager, graph, and the kernel, but of optimizers that Keras 2 computes by itself."""
    return ["eager", "graph", *([] if name in ("Nadam", "RMSprop") else [kernels.KIND])]


def run(call: Call, kind: str, dtype: str, trial: TensorTrial, each_step: str = "") -> np.ndarray:
    """Where the native goes; ``each_step`` is code for the optimizer, run before each step, for eager steps alone."""
    if kind == kernels.KIND:
        return kernels.run(tf_keras.read(call.name, **call.arguments), dtype, trial)

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
