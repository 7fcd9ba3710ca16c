"""tf.compat.v1.train, eager as TensorFlow 2 allows, and in a session of TensorFlow 1."""

from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import Call
from samestep.reference.dialects import tensorflow1 as dialect

from . import Native, kernels
from .libraries import KERNEL
from .one_tensor import OneTensor, run_each


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of a native.

    ``each_step`` is code of ours that sets epsilon before each step; only in eager mode.
    """
    rule = dialect.read(native.call.name, **native.call.arguments)
    if native.mode == KERNEL:
        return kernels.run(rule, trial, dtype)
    if native.mode == "session":
        return run_each(
            rule.lr, trial, dtype, lambda tensor: _run_in_session(native.call, dtype, tensor)
        )
    return run_each(
        rule.lr, trial, dtype, lambda tensor: _run_eagerly(native.call, dtype, each_step, tensor)
    )


def _run_eagerly(call: Call, dtype: str, each_step: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    import tensorflow as tf

    variable = tf.Variable(tensor.start, dtype=dtype)
    now: dict[str, Any] = {}
    settings: dict[str, Any] = {"learning_rate": lambda: now["lr"]}
    if each_step:
        settings["epsilon"] = lambda: tf.constant(now["epsilon"], dtype)
    optimizer = getattr(tf.compat.v1.train, call.name)(**{**call.arguments, **settings})
    thetas = []
    for t, (gradient, lr) in enumerate(tensor.steps, start=1):
        now.update(t=t, lr=lr)
        exec(each_step, {}, now)
        optimizer.apply_gradients([(tf.constant(gradient.astype(dtype)), variable)])
        thetas.append(variable.numpy())
    return np.array(thetas)


def _run_in_session(call: Call, dtype: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        start = tf.constant(tensor.start.astype(dtype))
        variable = v1.get_variable("theta", initializer=start, use_resource=True)
        gradient_input = v1.placeholder(dtype, tensor.start.shape)
        rate_input = v1.placeholder("float32", [])
        arguments = {**call.arguments, "learning_rate": rate_input}
        optimizer = getattr(v1.train, call.name)(**arguments)
        step = optimizer.apply_gradients([(gradient_input, variable)])
        session.run(v1.global_variables_initializer())
        thetas = []
        for gradient, rate in tensor.steps:
            session.run(step, {gradient_input: gradient, rate_input: rate})
            thetas.append(session.run(variable))
    return np.array(thetas)
