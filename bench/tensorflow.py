"""Keras' optimizer steps on TensorFlow, ours and its own, ready to be timed."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from frameworks.tensorflow import Optimizer, native
from reference import Rule, dialects

from . import clock, sizes


def gpu() -> str | None:
    """The GPU's name, None without one."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else None


@contextlib.contextmanager
def stepper(what: Rule | dialects.Call, mode: str, device: str, size: str = "mnist") -> Iterator[clock.Stepper]:
    """The weights of a size under a rule (ours) or a call (the native), stepped in ``mode``.

    On the CPU a step returns when it is done, in every mode. Elsewhere reading one of the results waits for it.
    """
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        variables = [keras.Variable(weight, dtype="float32") for weight in sizes.weights(size)]
        gradients = [tf.constant(gradient) for gradient in sizes.gradients(size)]
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


def axpy(parameters: int, device: str) -> Callable[[], Any]:
    """y <- y + x / 2 in place under XLA, float32: 12 bytes a parameter, as fast as the memory allows."""
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        x, y = tf.constant(1e-3, shape=[parameters]), tf.Variable(tf.ones([parameters]))

    @tf.function(jit_compile=True, autograph=False)
    def add() -> None:
        y.assign_add(x * 0.5)

    def step() -> None:
        add()
        if device == "cuda":
            y[:1].numpy()

    return step
