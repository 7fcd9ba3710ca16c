"""Coefficients of all variables at once: computed one by one, they would be a large part of a graph.

``Known`` gives those of a rule in a dtype, for the variable at an index.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from samestep.reference import Rule

from . import guarded
from .guarded import Guarded

Known = Callable[[Rule, tf.DType, int], Any]


def numbers(steps: Any, learning_rate: Any) -> Known:
    """Plain numbers, for the variables' step numbers (variables,), int64, and the learning rate; eager code only."""
    counts, lr = steps.numpy().tolist(), float(learning_rate)
    return lambda rule, dtype, index: rule.coefficients(counts[index], lr)


def tensors(steps: Any, learning_rate: Any) -> Known:
    """The same in a graph, 0-d, computed in double and rounded once: one trace for all steps and learning rates."""
    t, lr = (
        tf.cast(steps.value, tf.float64),
        tf.cast(tf.convert_to_tensor(learning_rate), tf.float64),
    )
    zeros = guarded.zeros(t[0])

    @functools.cache
    def of_all(rule: Rule, dtype: tf.DType) -> list[Any]:
        c = rule.coefficients(Guarded(t, zeros), Guarded(lr, zeros), guarded)
        doubles = [tf.convert_to_tensor(getattr(value, "tensor", value), tf.float64) for value in c]
        zero, *rest = _veiled([zeros[tf.float64], *doubles], t[0] >= 0, dtype)
        columns = _columns(doubles, iter(rest), steps.shape[0])
        return [
            c._make([Guarded(x, {dtype: zero}) for x in row]) for row in zip(*columns, strict=True)
        ]

    return lambda rule, dtype, index: of_all(rule, dtype)[index]


def _veiled(values: Sequence[Any], always: Any, dtype: tf.DType) -> list[Any]:
    """All elements of some doubles, each rounded once, and divided by a one of which no compiler knows that it is one.

    So those that never change seem to depend on the step, too: past a constant Grappler moves other terms,
    ``(v - w) + epsilon`` becoming ``v + (epsilon - w)``. And a quotient XLA computes once; anything less it would
    repeat in every kernel that uses a coefficient, the rounding, too.
    """
    one = tf.where(always, tf.constant(1.0, dtype), tf.constant(0.0, dtype))
    return tf.unstack(tf.cast(tf.concat([tf.reshape(x, [-1]) for x in values], 0), dtype) / one)


def _columns(values: Sequence[Any], elements: Iterator[Any], count: int) -> list[list[Any]]:
    """The elements of each value for ``count`` variables: a vector has one for each, a number the same for all."""
    return [
        [next(elements) for _ in range(count)] if x.shape.rank else [next(elements)] * count
        for x in values
    ]
