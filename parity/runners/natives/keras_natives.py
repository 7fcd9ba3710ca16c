"""keras.optimizers on TensorFlow, in every mode."""

import contextlib
from collections.abc import Iterator

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call

NEEDS = ("tensorflow", "keras")
TITLE = "keras.optimizers"
FLOATX = ("Muon",)  # natives that move weights of Keras' global dtype alone, see reproductions/keras_muon_dtype.py


def kinds(name: str) -> list[str]:
    """Eager, graph, XLA."""
    from samestep.frameworks.tensorflow.native import MODES

    return list(MODES)


def run(call: Call, kind: str, dtype: str, trial: TensorTrial, each_step: str = "") -> np.ndarray:
    """Where the native goes; ``each_step`` is code for the optimizer, run before each step."""
    import keras
    import tensorflow as tf

    from samestep.frameworks.tensorflow import native

    with floatx(call, dtype):
        variable = keras.Variable(trial.start.astype(dtype), dtype=dtype)
        optimizer = native.optimizer([variable], call)
        if "epsilon.assign" in each_step:
            optimizer.epsilon = tf.Variable(optimizer.epsilon, dtype=dtype)
        apply, thetas, lr_before = native.in_mode(optimizer, kind), [], trial.rates[0]
        for t, (gradient, lr) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
            optimizer.learning_rate = lr
            exec(each_step, {"optimizer": optimizer, "t": t, "lr": lr, "lr_before": lr_before})
            lr_before = lr
            apply([tf.constant(gradient.astype(dtype))])
            thetas.append(variable.numpy())
    return np.array(thetas)


@contextlib.contextmanager
def floatx(call: Call, dtype: str) -> Iterator[None]:
    """Keras' global dtype is ``dtype`` for a while, if the native needs that."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(dtype if call.name in FLOATX else before)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
