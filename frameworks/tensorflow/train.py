"""Training in TensorFlow: the steps of a stretch of an epoch are one loop inside one compiled function."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samestep.frameworks.experiment import facts
from samestep.reference import Rule

from . import model
from .optimizer import Optimizer

DEVICE = "cuda" if tf.config.list_physical_devices("GPU") else "cpu"

PARTS = 32  # of a sum under XLA; with 16 to 128 it takes about as long


def set_threads(threads: int) -> None:
    """Bound the threads within and between operations; only before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def settings() -> dict[str, bool | str]:
    """TensorFlow's own on which its products on a GPU depend; it does not tell whether ``enable_op_determinism`` was
    called, which nothing here does."""
    return {"tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled()}


class Trainer:
    """The experiment under one rule. ``arithmetic`` is one of ``facts.ARITHMETICS``.

    The loop is a graph, and under XLA with ``xla``, which compiles longer and then runs faster.
    """

    def __init__(self, rule: Rule, arithmetic: str, xla: bool = False, compiled: bool = False) -> None:
        if compiled:
            raise ValueError("compiled must be off for TensorFlow; its compiler is xla")
        self.kept = "float64" if arithmetic == "float64" else "float32"
        self.computed = tf.float32 if arithmetic == "float32" else tf.float64
        self.lockstep, self.xla = arithmetic == "lockstep", xla
        self.variables = [keras.Variable(w.astype(self.kept), dtype=self.kept) for w in facts.initial_weights()]
        self.optimizer = Optimizer(rule)
        self.optimizer.build(self.variables)
        # a variable, since compilers would make a factor, rounded otherwise, of a divisor that they know
        self._white = tf.Variable(255, dtype=self.computed, trainable=False)
        self._source: tuple[Any, Any] = (None, None)  # what ``_data`` was made of
        self._step = tf.function(self._train, jit_compile=xla, autograph=False)
        self._steps = tf.function(self._loop, jit_compile=xla, autograph=False)

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Take up an epoch over uint8 images (n, 784) and labels (n,)."""
        if not (images is self._source[0] and labels is self._source[1]):
            self._source, self._data = (images, labels), (tf.constant(images), tf.constant(labels))
        order = tf.constant(draws.order, tf.int32)
        self._epoch = (*(tf.gather(x, order) for x in self._data), tf.constant(draws.kept))

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch that was begun."""
        told = self._steps(*self._epoch, tf.constant(first), tf.constant(last))
        return facts.Steps(*(x.numpy()[first:last].astype(np.float64) for x in told))

    def step(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> float:
        """One step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128); the loss before it."""
        return float(self._step(tf.constant(images), tf.constant(labels), tf.constant(mask)))

    def weights(self) -> list[np.ndarray]:
        """Copies of the weights, kernels (in, out)."""
        return [variable.numpy() for variable in self.variables]

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        logits = self._logits(self._weights(), self._pixels(images), tf.constant(1, self.computed))
        return float((tf.argmax(logits, axis=1).numpy() == labels).mean())

    def _loop(self, images: Any, labels: Any, kept: Any, first: Any, last: Any) -> tuple[Any, Any]:
        """The loss and the length of each step; of those that were not taken, zero."""
        steps = images.shape[0]
        losses = tf.TensorArray(self.computed, steps, element_shape=())
        lengths = tf.TensorArray(tf.float64, steps, element_shape=())

        def body(step: Any, losses: Any, lengths: Any) -> tuple[Any, Any, Any]:
            before = self._weights()
            loss = self._train(images[step], labels[step], kept[step])
            return step + 1, losses.write(step, loss), lengths.write(step, self._length(before))

        _, losses, lengths = tf.while_loop(lambda step, *_: step < last, body, (first, losses, lengths))
        return losses.stack(), lengths.stack()

    def _train(self, images: Any, labels: Any, kept: Any) -> tf.Tensor:
        loss, gradients = self._gradients(self._weights(), *self._batch(images, labels, kept))
        self.optimizer.apply(gradients)
        return loss

    def _batch(self, images: Any, labels: Any, kept: Any) -> tuple[Any, Any, Any]:
        """What the model takes: pixels between 0 and 1, labels, and the factor of each hidden unit."""
        mask = tf.cast(kept, self.computed) * tf.constant(1 / (1 - facts.DROPOUT), self.computed)
        return self._pixels(images), tf.cast(labels, tf.int32), mask

    def _pixels(self, images: Any) -> tf.Tensor:
        return tf.cast(images, self.computed) / self._white

    def _weights(self) -> list[Any]:
        return [tf.convert_to_tensor(variable.value) for variable in self.variables]

    def _logits(self, weights: list[Any], images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return (model.forward_on_grid if self.lockstep else model.forward)(weights, images, mask)

    def _gradients(self, weights: list[Any], images: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Any:
        cross_entropy = model.cross_entropy_on_grid if self.lockstep else model.cross_entropy
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = cross_entropy(self._logits(weights, images, mask), labels)
        return loss, tape.gradient(loss, weights)

    def _length(self, before: list[Any]) -> tf.Tensor:
        """How far the weights are from where they were."""
        moved = [tf.reshape(new - old, [-1]) for new, old in zip(self._weights(), before, strict=True)]
        return tf.sqrt(tf.add_n([self._square(x) for x in moved]))

    def _square(self, x: tf.Tensor) -> tf.Tensor:
        """The sum of a vector's squares, in float64. XLA would add them one after another, and take longer for that
        than for all the rest; so parts are added first, in which the processor takes several elements at once."""
        parts = tf.split(x, PARTS) if self.xla and x.shape[0] % PARTS == 0 else [x]
        return tf.reduce_sum(tf.add_n([tf.square(tf.cast(part, tf.float64)) for part in parts]))
