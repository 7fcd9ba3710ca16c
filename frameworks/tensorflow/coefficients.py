"""Coefficients of all variables at once: one by one, they would be a large part of a graph."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from samestep.reference import Rule

from . import guarded
from .guarded import Guarded

# Gives the coefficients of a rule in a dtype, for the variable at an index.
CoefficientsOf = Callable[[Rule, tf.DType, int], Any]


def numbers(steps: Any, learning_rate: Any) -> CoefficientsOf:
    """Coefficients as plain numbers; eager code only.

    ``steps`` has the variables' step numbers (variables,), int64. A variable of several replicas
    has no ``float()``.
    """
    counts = steps.numpy().tolist()
    lr = float(learning_rate.numpy() if hasattr(learning_rate, "numpy") else learning_rate)
    return lambda rule, dtype, index: rule.coefficients(counts[index], lr)


def tensors(steps: Any, learning_rate: Any) -> CoefficientsOf:
    """Coefficients as 0-d tensors of a graph, computed in double and rounded once.

    One trace serves all step numbers and learning rates. ``steps`` is as in ``numbers``.
    """
    t = tf.cast(steps.value, tf.float64)
    lr = tf.cast(tf.convert_to_tensor(learning_rate), tf.float64)
    zeros = guarded.zeros(t[0])

    @functools.cache
    def of_all(rule: Rule, dtype: tf.DType) -> list[Any]:
        c = rule.coefficients(Guarded(t, zeros), Guarded(lr, zeros), guarded)
        doubles = [tf.convert_to_tensor(guarded.unwrap(value), tf.float64) for value in c]
        with_zero = [zeros[tf.float64], *doubles]
        zero, *rest = _hide_from_constant_folding(with_zero, t[0] >= 0, dtype)
        columns = _columns(doubles, iter(rest), steps.shape[0])
        rows = zip(*columns, strict=True)
        return [c._make([Guarded(x, {dtype: zero}) for x in row]) for row in rows]

    return lambda rule, dtype, index: of_all(rule, dtype)[index]


def _hide_from_constant_folding(values: Sequence[Any], always: Any, dtype: tf.DType) -> list[Any]:
    """Round all elements of some doubles once to ``dtype``, and divide them by a run-time 1.0.

    ``always`` is a condition that is true, which the compiler cannot know. So the compiler cannot
    treat the coefficients as constants. Past a constant Grappler moves other terms: ``(v - w) +
    epsilon`` becomes ``v + (epsilon - w)``. A quotient XLA computes once; anything less it would
    repeat in every kernel that uses a coefficient, the rounding, too.
    """
    one = tf.where(always, tf.constant(1.0, dtype), tf.constant(0.0, dtype))
    elements = tf.concat([tf.reshape(x, [-1]) for x in values], 0)
    return tf.unstack(tf.cast(elements, dtype) / one)


def _columns(values: Sequence[Any], elements: Iterator[Any], count: int) -> list[list[Any]]:
    """The elements of each value for ``count`` variables.

    A vector has one element for each variable; a number is the same for all.
    """
    columns = []
    for value in values:
        if value.shape.rank:
            columns.append([next(elements) for _ in range(count)])
        else:
            columns.append([next(elements)] * count)
    return columns
