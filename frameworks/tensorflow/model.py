"""The article's network in TensorFlow.

A kernel is a Dense kernel: (in, out), as in the experiment. The lockstep grid is that of
``samestep.frameworks.numpy.model``, as functions with gradients of their own: ``on_grid_forward``
rounds on the way forward, ``on_grid_backward`` the gradient on its way back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

BITS = 20
SMALLEST = 2.0**-500
EXPONENT = 0x7FF0000000000000


def on_grid(x: tf.Tensor) -> tf.Tensor:
    """Round a float64 tensor to 20 bits below its largest magnitude, halves to even."""
    largest = tf.maximum(tf.reduce_max(tf.abs(x)), tf.constant(SMALLEST, tf.float64))
    power = tf.bitcast(tf.bitcast(largest, tf.int64) & EXPONENT, tf.float64)
    unit = power * tf.constant(2.0 ** (1 - BITS), tf.float64)
    return tf.round(x * (1 / unit)) * unit


@tf.custom_gradient
def on_grid_forward(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """``on_grid`` with the gradient of the identity."""
    return on_grid(x), lambda gradient: gradient


@tf.custom_gradient
def on_grid_backward(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The identity, with its gradient put on the grid."""
    return tf.identity(x), on_grid


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean softmax cross-entropy, in plain arithmetic."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


@tf.custom_gradient
def cross_entropy_on_grid(
    logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Mean softmax cross-entropy whose exponentials are on the grid; gradient (p - onehot) / n."""
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    exponentials = on_grid(tf.exp(shifted))
    total = tf.reduce_sum(exponentials, axis=1, keepdims=True)
    onehot = tf.one_hot(labels, logits.shape[1], dtype=tf.float64)
    share = tf.constant(1 / logits.shape[0], tf.float64)  # a power of two: exact

    def backward(gradient: tf.Tensor) -> tuple[tf.Tensor, None]:
        return gradient * ((exponentials / total - onehot) * share), None

    losses = tf.math.log(total[:, 0]) - tf.reduce_sum(onehot * shifted, axis=1)
    return tf.reduce_mean(losses), backward


def forward(weights: Sequence[tf.Tensor], images: tf.Tensor, mask: tf.Tensor | float) -> tf.Tensor:
    """The logits (n, 10), in plain arithmetic."""
    W1, b1, W2, b2 = weights
    hidden = tf.nn.relu(images @ W1 + b1) * mask
    return hidden @ W2 + b2


def forward_on_grid(
    weights: Sequence[tf.Tensor], images: tf.Tensor, mask: tf.Tensor | float
) -> tf.Tensor:
    """The logits (n, 10), float64, in lockstep arithmetic; ``weights`` may be float32."""
    W1, b1, W2, b2 = (tf.cast(weight, tf.float64) for weight in weights)
    hidden = tf.nn.relu(_dense_on_grid(images, W1, b1)) * mask
    return _dense_on_grid(hidden, W2, b2)


def _dense_on_grid(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return on_grid_backward(on_grid_forward(on_grid_forward(x) @ on_grid_forward(kernel)) + bias)
