"""Training in TensorFlow: many steps of an epoch are one loop inside one compiled function."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samestep.frameworks.experiment import facts
from samestep.frameworks.experiment.trainer import Observation, Observer
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
    """The settings of TensorFlow that its products on a GPU depend on.

    TensorFlow does not tell whether ``enable_op_determinism`` was called; nothing here calls it.
    """
    return {"tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled()}


class Trainer:
    """The experiment under one rule; see ``experiment.trainer.Trainer``.

    ``arithmetic`` is one of ``facts.ARITHMETICS``. The loop is a graph. With ``xla`` it is
    compiled by XLA, which takes longer at first and then runs faster. ValueError for ``compiled``.
    """

    def __init__(
        self, rule: Rule, arithmetic: str, xla: bool = False, compiled: bool = False
    ) -> None:
        if compiled:
            raise ValueError("compiled must be off for TensorFlow; its compiler is xla")
        self.weight_dtype = "float64" if arithmetic == "float64" else "float32"
        self.compute_dtype = tf.float32 if arithmetic == "float32" else tf.float64
        self.lockstep = arithmetic == "lockstep"
        self.xla = xla
        self.parameters = [
            keras.Variable(weight.astype(self.weight_dtype), dtype=self.weight_dtype)
            for weight in facts.initial_weights()
        ]
        self.optimizer: Any = Optimizer(rule)
        self.optimizer.build(self.parameters)
        # It is a variable, since compilers would make a factor, which rounds otherwise, of a
        # divisor that they know.
        self._white = tf.Variable(255, dtype=self.compute_dtype, trainable=False)
        self._source: tuple[Any, Any] = (None, None)  # the arrays that ``_data`` was made of
        self._step = tf.function(self._train, jit_compile=xla, autograph=False)
        self._observed_step = tf.function(self._observe, jit_compile=xla, autograph=False)
        self._steps = tf.function(self._loop, jit_compile=xla, autograph=False)

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Begin an epoch over uint8 images (n, 784) and labels (n,)."""
        if not (images is self._source[0] and labels is self._source[1]):
            self._source = images, labels
            self._data = tf.constant(images), tf.constant(labels)
        order = tf.constant(draws.order, tf.int32)
        self._epoch = (*(tf.gather(x, order) for x in self._data), tf.constant(draws.masks))

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch."""
        results = self._steps(*self._epoch, tf.constant(first), tf.constant(last))
        return facts.Steps(*(x.numpy()[first:last].astype(np.float64) for x in results))

    def step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mask: np.ndarray,
        observe: Observer | None = None,
    ) -> float:
        """Take one step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128).

        Gives the loss before the step. ``observe`` is called after the step.
        """
        batch = tf.constant(images), tf.constant(labels), tf.constant(mask)
        if observe is None:
            return float(self._step(*batch))
        loss, logits, gradients = self._observed_step(*batch)
        arrays = [gradient.numpy() for gradient in gradients]
        observe(Observation(logits.numpy(), float(loss), arrays))
        return float(loss)

    def weights(self) -> list[np.ndarray]:
        """Copies of the weights, kernels (in, out)."""
        return [variable.numpy() for variable in self.parameters]

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        one = tf.constant(1, self.compute_dtype)
        logits = self._logits(self._weight_tensors(), self._pixels(images), one)
        return float((tf.argmax(logits, axis=1).numpy() == labels).mean())

    def _loop(self, images: Any, labels: Any, masks: Any, first: Any, last: Any) -> tuple[Any, Any]:
        """The loss and the length of each step; zero for the steps that were not taken."""
        steps = images.shape[0]
        losses = tf.TensorArray(self.compute_dtype, steps, element_shape=())
        lengths = tf.TensorArray(tf.float64, steps, element_shape=())

        def body(step: Any, losses: Any, lengths: Any) -> tuple[Any, Any, Any]:
            before = self._weight_tensors()
            loss = self._train(images[step], labels[step], masks[step])
            return step + 1, losses.write(step, loss), lengths.write(step, self._length(before))

        start = first, losses, lengths
        _, losses, lengths = tf.while_loop(lambda step, *_: step < last, body, start)
        return losses.stack(), lengths.stack()

    def _train(self, images: Any, labels: Any, mask: Any) -> tf.Tensor:
        batch = self._batch(images, labels, mask)
        loss, gradients = self._gradients(self._weight_tensors(), *batch)
        self.optimizer.apply(gradients)
        return loss

    def _observe(self, images: Any, labels: Any, mask: Any) -> tuple[Any, Any, list[Any]]:
        """One step; gives its loss, logits and gradients."""
        weights = self._weight_tensors()
        batch = self._batch(images, labels, mask)
        loss, gradients = self._gradients(weights, *batch)
        logits = self._logits(weights, batch[0], batch[2])
        self.optimizer.apply(gradients)
        return loss, logits, gradients

    def _batch(self, images: Any, labels: Any, mask: Any) -> tuple[Any, Any, Any]:
        """Pixels between 0 and 1, labels, and the factor of each hidden unit."""
        scale = tf.constant(1 / (1 - facts.DROPOUT), self.compute_dtype)
        factors = tf.cast(mask, self.compute_dtype) * scale
        return self._pixels(images), tf.cast(labels, tf.int32), factors

    def _pixels(self, images: Any) -> tf.Tensor:
        return tf.cast(images, self.compute_dtype) / self._white

    def _weight_tensors(self) -> list[Any]:
        return [tf.convert_to_tensor(variable.value) for variable in self.parameters]

    def _logits(self, weights: list[Any], pixels: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        forward = model.forward_on_grid if self.lockstep else model.forward
        return forward(weights, pixels, factors)

    def _gradients(
        self, weights: list[Any], pixels: tf.Tensor, labels: tf.Tensor, factors: tf.Tensor
    ) -> tuple[Any, list[Any]]:
        """The loss, and its gradient by each weight."""
        cross_entropy = model.cross_entropy_on_grid if self.lockstep else model.cross_entropy
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = cross_entropy(self._logits(weights, pixels, factors), labels)
        return loss, tape.gradient(loss, weights)

    def _length(self, before: list[Any]) -> tf.Tensor:
        """The Euclidean distance of the weights from ``before``."""
        pairs = zip(self._weight_tensors(), before, strict=True)
        moved = [tf.reshape(new - old, [-1]) for new, old in pairs]
        return tf.sqrt(tf.add_n([self._square(x) for x in moved]))

    def _square(self, x: tf.Tensor) -> tf.Tensor:
        """The sum of a vector's squares, in float64.

        XLA would add them one after another, and take longer for that than for all the rest. So
        parts are added first, in which the processor takes several elements at once.
        """
        parts = tf.split(x, PARTS) if self.xla and x.shape[0] % PARTS == 0 else [x]
        return tf.reduce_sum(tf.add_n([tf.square(tf.cast(part, tf.float64)) for part in parts]))
