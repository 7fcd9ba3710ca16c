"""tf.compat.v1.train, run eagerly as TensorFlow 2 allows, and in a graph of TensorFlow 1 with a session."""

from typing import Any

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call, tensorflow1

from . import kernels

NEEDS = ("tensorflow",)
TITLE = "tf.compat.v1.train"


def kinds(name: str) -> list[str]:
    """Eager steps, a session, the kernel; Ftrl takes no learning rate that changes between eager steps."""
    return ["session", kernels.KIND] if name == "FtrlOptimizer" else ["eager", "session", kernels.KIND]


def run(call: Call, kind: str, dtype: str, trial: TensorTrial, each_step: str = "") -> np.ndarray:
    """Where the native goes; ``each_step`` is code that sets epsilon, run before each step, for eager steps alone."""
    if kind == kernels.KIND:
        return kernels.run(tensorflow1.read(call.name, **call.arguments), dtype, trial)
    return _in_session(call, dtype, trial) if kind == "session" else _eagerly(call, dtype, trial, each_step)


def _eagerly(call: Call, dtype: str, trial: TensorTrial, each_step: str) -> np.ndarray:
    import tensorflow as tf

    variable, thetas = tf.Variable(trial.start, dtype=dtype), []
    now: dict[str, Any] = {}
    moving: dict[str, Any] = {"learning_rate": lambda: now["lr"]}
    if each_step:
        moving["epsilon"] = lambda: tf.constant(now["epsilon"], dtype)
    optimizer = getattr(tf.compat.v1.train, call.name)(**{**call.arguments, **moving})
    for now["t"], (gradient, now["lr"]) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
        exec(each_step, {}, now)
        optimizer.apply_gradients([(tf.constant(gradient.astype(dtype)), variable)])
        thetas.append(variable.numpy())
    return np.array(thetas)


def _in_session(call: Call, dtype: str, trial: TensorTrial) -> np.ndarray:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("theta", initializer=tf.constant(trial.start.astype(dtype)), use_resource=True)
        gradient, lr = v1.placeholder(dtype, trial.start.shape), v1.placeholder("float32", [])
        optimizer = getattr(v1.train, call.name)(**{**call.arguments, "learning_rate": lr})
        step = optimizer.apply_gradients([(gradient, variable)])
        session.run(v1.global_variables_initializer())
        thetas = []
        for drawn, rate in zip(trial.gradients, trial.rates, strict=True):
            session.run(step, {gradient: drawn, lr: rate})
            thetas.append(session.run(variable))
    return np.array(thetas)
