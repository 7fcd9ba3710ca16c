"""tf_keras.optimizers.legacy, eager and in a graph."""

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import tf_keras as dialect

from . import Native, kernels
from .libraries import KERNEL
from .one_tensor import OneTensor, run_each


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of a native.

    ``each_step`` is code of ours that changes the optimizer before each step; only in eager mode.
    """
    rule = dialect.read(native.call.name, **native.call.arguments)
    if native.mode == KERNEL:
        return kernels.run(rule, trial, dtype)
    return run_each(
        rule.lr, trial, dtype, lambda tensor: _run_tensor(native, dtype, each_step, tensor)
    )


def _run_tensor(native: Native, dtype: str, each_step: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    import tensorflow as tf
    from tf_keras.optimizers import legacy

    variable = tf.Variable(tensor.start, dtype=dtype)
    optimizer = getattr(legacy, native.call.name)(**native.call.arguments)

    def apply(gradient: tf.Tensor) -> None:
        optimizer.apply_gradients([(gradient, variable)])

    take = tf.function(apply, autograph=False) if native.mode == "graph" else apply
    thetas = []
    for t, (gradient, lr) in enumerate(tensor.steps, start=1):
        optimizer.learning_rate = lr
        exec(each_step, {"optimizer": optimizer, "t": t})
        take(tf.constant(gradient.astype(dtype)))
        thetas.append(variable.numpy())
    return np.array(thetas)
