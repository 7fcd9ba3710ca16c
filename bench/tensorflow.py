"""Keras' optimizer steps on TensorFlow, ours and its own, ready to be timed."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from frameworks import experiment
from frameworks.tensorflow import Optimizer, native
from reference import Rule, dialects

from . import clock


def gpu() -> str | None:
    """The GPU's name, None without one."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else None


@contextlib.contextmanager
def stepper(what: Rule | dialects.Call, mode: str, device: str) -> Iterator[clock.Stepper]:
    """The experiment's weights under a rule (ours) or a call (the native), stepped in ``mode``.

    On the CPU a step returns when it is done, in every mode. Elsewhere reading one of the results waits for it.
    """
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        variables = [keras.Variable(weight, dtype="float32") for weight in experiment.initial_weights()]
        gradients = [tf.constant(gradient) for gradient in clock.gradients()]
        step = native.in_mode(_optimizer(variables, what), mode)

        def step_and_wait() -> None:
            step(gradients)
            variables[-1].numpy()

        def weights() -> list[Any]:
            return [variable.numpy() for variable in variables]

        yield clock.Stepper(step_and_wait if device == "cuda" else functools.partial(step, gradients), weights)


def _optimizer(variables: Sequence[Any], what: Rule | dialects.Call) -> keras.optimizers.Optimizer:
    if isinstance(what, dialects.Call):
        return native.optimizer(variables, what)
    optimizer = Optimizer(what)
    optimizer.build(list(variables))
    return optimizer
