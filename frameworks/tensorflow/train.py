"""Training in TensorFlow, a step at a time."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from reference import Rule

from .. import experiment
from . import model
from .optimizer import Optimizer

DEVICE = "cuda" if tf.config.list_physical_devices("GPU") else "cpu"


def set_threads(threads: int) -> None:
    """Bound the threads within and between operations; only before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class Trainer:
    """The experiment under one rule. ``arithmetic`` is one of ``experiment.ARITHMETICS``.

    The step is a graph; with ``xla`` the gradient in it is computed under XLA.
    """

    def __init__(self, rule: Rule, arithmetic: str, xla: bool = False) -> None:
        self.kept = "float64" if arithmetic == "float64" else "float32"
        self.computed = tf.float32 if arithmetic == "float32" else tf.float64
        self.lockstep = arithmetic == "lockstep"
        self.variables = [keras.Variable(w.astype(self.kept), dtype=self.kept) for w in experiment.initial_weights()]
        self.optimizer = Optimizer(rule)
        self.optimizer.build(self.variables)
        self._gradients = tf.function(self._loss_and_gradients, jit_compile=xla, autograph=False)
        self._step = tf.function(self._train, autograph=False)

    def step(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> float:
        """One step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128); the loss before it."""
        dtype = self.computed.as_numpy_dtype
        scale = mask * dtype(1 / (1 - experiment.DROPOUT))
        loss = self._step(tf.constant(images / dtype(255)), tf.constant(labels, tf.int32), tf.constant(scale))
        return float(loss)

    def weights(self) -> list[np.ndarray]:
        """Copies of the weights, kernels (in, out)."""
        return [variable.numpy() for variable in self.variables]

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        pixels = tf.constant(images / self.computed.as_numpy_dtype(255))
        logits = self._logits([v.value for v in self.variables], pixels, tf.constant(1, self.computed))
        return float((tf.argmax(logits, axis=1).numpy() == labels).mean())

    def _logits(self, weights: list[Any], images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return (model.forward_on_grid if self.lockstep else model.forward)(weights, images, mask)

    def _train(self, images: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        weights = [tf.convert_to_tensor(variable.value) for variable in self.variables]
        loss, gradients = self._gradients(weights, images, labels, mask)
        self.optimizer.apply(gradients)
        return loss

    def _loss_and_gradients(self, weights: list[Any], images: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Any:
        cross_entropy = model.cross_entropy_on_grid if self.lockstep else model.cross_entropy
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = cross_entropy(self._logits(weights, images, mask), labels)
        return loss, tape.gradient(loss, weights)
