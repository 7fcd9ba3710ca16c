"""Keras' optimizer steps on TensorFlow, ours and its own, ready to be timed."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samestep.bench import clock, sizes
from samestep.frameworks.experiment import facts, mnist
from samestep.frameworks.tensorflow import Optimizer, native
from samestep.reference import Rule, dialects


def gpu() -> str | None:
    """The GPU's name, None without one."""
    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU")


@contextlib.contextmanager
def stepper(
    what: Rule | dialects.Call, mode: str, device: str, size: str = "mnist"
) -> Iterator[clock.Stepper]:
    """The weights of a size under a rule (ours) or a call (the native), stepped in ``mode``.

    On the CPU a step returns when it is done, in every mode. Elsewhere reading one of the results
    waits for it.
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

        plain_step = functools.partial(step, gradients)
        yield clock.Stepper(step_and_wait if device == "cuda" else plain_step, weights)


def _optimizer(variables: Sequence[Any], what: Rule | dialects.Call) -> keras.optimizers.Optimizer:
    if isinstance(what, dialects.Call):
        return native.optimizer(variables, what)
    optimizer = Optimizer(what)
    optimizer.build(list(variables))
    return optimizer


def usual(name: str, device: str) -> str:
    """The mode in which Keras takes a step of any of its optimizers by default."""
    return "graph"


def axpy(parameters: int, device: str) -> Callable[[], Any]:
    """y <- y + x / 2 in place, XLA, float32: 12 bytes a parameter, as fast as memory allows."""
    with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
        x = tf.constant(1e-3, shape=[parameters])
        y = tf.Variable(tf.ones([parameters]))

    @tf.function(jit_compile=True, autograph=False)
    def add() -> None:
        y.assign_add(x * 0.5)

    def step() -> None:
        add()
        if device == "cuda":
            y[:1].numpy()

    return step


def epochs(call: str) -> dict[str, Callable[[], list[Any]]]:
    """An epoch as Keras' ``model.fit`` trains it, by name; each function gives the weights.

    It is compiled as Keras does by default, and under XLA.
    """
    _, name, arguments = dialects.parse(call)
    data = mnist.load()
    images = data.train_images / np.float32(255)
    labels = data.train_labels.astype(np.int32)
    epochs_by_name: dict[str, Callable[[], list[Any]]] = {}
    for way, jit in (("fit", "auto"), ("fit xla", True)):
        layers = [
            keras.layers.Input((784,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(facts.DROPOUT),
            keras.layers.Dense(10, activation="softmax"),
        ]
        fitted = keras.Sequential(layers)
        optimizer = getattr(keras.optimizers, name)(**arguments)
        fitted.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", jit_compile=jit)
        epochs_by_name[way] = functools.partial(_epoch, fitted, images, labels)
    return epochs_by_name


def _epoch(fitted: Any, images: np.ndarray, labels: np.ndarray) -> list[Any]:
    fitted.fit(images, labels, batch_size=facts.BATCH, epochs=1, verbose=0)
    return [weight.numpy() for weight in fitted.trainable_weights]
