"""The ``xp`` of TensorFlow: its own functions, except the square root; and scalars in a graph.

In graph mode Grappler rewrites ``x / sqrt(y)`` to ``x * rsqrt(y)``, which rounds differently. The
absolute value of the root, which has the same bits, keeps the pattern from matching.
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
    "abs", "concat", "integer_power", "matmul", "maximum", "minimum", "ones", "power", "ratio",
    "reshape", "sign", "sqrt", "square", "transpose", "where", "zeros_like",
]  # fmt: skip


_KIND = {float: tf.float64, int: tf.int64}


def sqrt(x: tf.Tensor) -> tf.Tensor:
    """The correctly rounded square root, elementwise."""
    return tf.abs(tf.sqrt(x))


def where(condition: tf.Tensor, yes: tf.Tensor | float, no: tf.Tensor | float) -> tf.Tensor:
    """``tf.where``; plain numbers become float64 and int64, of which TensorFlow would take half."""
    return tf.where(condition, _full_precision(yes), _full_precision(no))


def _full_precision(x: tf.Tensor | float) -> tf.Tensor:
    """A plain number as a float64 or int64 tensor; a tensor as it is."""
    return tf.constant(x, _KIND[type(x)]) if type(x) in _KIND else x


def integer_power(base: float, exponent: tf.Tensor) -> tf.Tensor:
    """base**exponent for float64 tensors of whole numbers.

    It has the same bits as that of ``samestep.reference.scalars``.
    """
    shape = [scalars.EXPONENT_BITS] + [1] * len(exponent.shape)
    powers = np.reshape(2 ** np.arange(scalars.EXPONENT_BITS), shape)
    bits = tf.bitwise.bitwise_and(tf.cast(exponent, tf.int64), powers)
    squares = tf.constant(np.reshape(scalars.squares(base), shape))
    factors = tf.where(bits > 0, squares, tf.ones_like(squares))
    half = scalars.EXPONENT_BITS
    while half > 1:
        half //= 2
        low, high = tf.split(factors, 2)
        factors = low * high
    return factors[0]


def ratio(part: tf.Tensor, whole: float | tf.Tensor) -> tf.Tensor:
    """part / whole in float64, for ``part`` 0 or more.

    Grappler would turn a divisor that is a constant into a factor. It leaves a divisor that seems
    to depend on ``part``.
    """
    if isinstance(whole, tf.Tensor):
        return tf.cast(part, tf.float64) / tf.cast(whole, tf.float64)
    return tf.cast(part, tf.float64) / where(part >= 0, float(whole), 0.0)


def power(base: float | tf.Tensor, exponent: float | tf.Tensor) -> float | tf.Tensor:
    """base**exponent by the steps of ``samestep.reference.scalars``.

    Only the last resort, a real power, is TensorFlow's own.
    """
    if isinstance(base, float) and isinstance(exponent, float):
        return scalars.power(base, exponent)
    by_roots = scalars.quarters(base, exponent, tf.sqrt) if isinstance(exponent, float) else None
    if by_roots is not None:
        return by_roots
    return tf.pow(
        tf.convert_to_tensor(base, tf.float64), tf.convert_to_tensor(exponent, tf.float64)
    )
