"""The ``xp`` of TensorFlow: its own functions, except the square root; and scalars inside a graph.

In graph mode Grappler rewrites ``x / sqrt(y)`` to ``x * rsqrt(y)``, which rounds differently. An absolute value around
the root, which changes no bit of it, keeps the pattern from matching.
"""

import numpy as np
import tensorflow as tf
from tensorflow import (
    abs,
    concat,
    matmul,
    maximum,
    minimum,
    ones,
    reshape,
    sign,
    square,
    transpose,
    zeros_like,
)

from samestep.reference import scalars

__all__ = [
    "abs", "concat", "integer_power", "matmul", "maximum", "minimum", "ones", "power", "ratio", "reshape", "sign",
    "sqrt", "square", "transpose", "where", "zeros_like",
]  # fmt: skip


_KIND = {float: tf.float64, int: tf.int64}


def sqrt(x: tf.Tensor) -> tf.Tensor:
    """The correctly rounded square root, elementwise."""
    return tf.abs(tf.sqrt(x))


def where(condition: tf.Tensor, yes: tf.Tensor | float, no: tf.Tensor | float) -> tf.Tensor:
    """``tf.where``, with plain numbers taken as doubles and whole ones as int64; TensorFlow would halve both."""
    return tf.where(
        condition, *(tf.constant(x, _KIND[type(x)]) if type(x) in _KIND else x for x in (yes, no))
    )


def integer_power(base: float, exponent: tf.Tensor) -> tf.Tensor:
    """base**exponent to the last bit as ``samestep.reference.scalars`` takes it, for float64 tensors of whole numbers."""
    shape = [scalars.EXPONENT_BITS] + [1] * len(exponent.shape)
    bits = tf.bitwise.bitwise_and(
        tf.cast(exponent, tf.int64), np.reshape(2 ** np.arange(scalars.EXPONENT_BITS), shape)
    )
    squares = tf.constant(np.reshape(scalars.squares(base), shape))
    factors = tf.where(bits > 0, squares, tf.ones_like(squares))
    half = scalars.EXPONENT_BITS
    while half > 1:
        half //= 2
        low, high = tf.split(factors, 2)
        factors = low * high
    return factors[0]


def ratio(part: tf.Tensor, whole: int) -> tf.Tensor:
    """part / whole in float64, for whole numbers with ``part`` 0 or more.

    A divisor that is a constant Grappler would turn into a factor; one that seems to depend on ``part`` it leaves.
    """
    return tf.cast(part, tf.float64) / where(part >= 0, float(whole), 0.0)


def power(base: float | tf.Tensor, exponent: float | tf.Tensor) -> float | tf.Tensor:
    """base**exponent as ``samestep.reference.scalars`` takes it, by the same steps; only the last resort is TensorFlow's own."""
    if isinstance(base, float) and isinstance(exponent, float):
        return scalars.power(base, exponent)
    by_roots = scalars.quarters(base, exponent, tf.sqrt) if isinstance(exponent, float) else None
    if by_roots is not None:
        return by_roots
    return tf.pow(
        tf.convert_to_tensor(base, tf.float64), tf.convert_to_tensor(exponent, tf.float64)
    )
