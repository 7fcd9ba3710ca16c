"""Optimizers of Keras on TensorFlow, eagerly and in a graph, as ``model.fit`` runs them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from samestep.frameworks.tensorflow import native

TITLE = "Keras"
MODES = ("eager", "graph")


def accepts(made: Any) -> bool:
    """Whether it is a Keras optimizer."""
    return isinstance(made, keras.optimizers.Optimizer)


def made(make: Callable[..., Any], starts: Sequence[np.ndarray], dtype: str) -> tuple[Any, list[Any]]:
    """The optimizer and its variables; it is built unless it is none."""
    variables = [keras.Variable(start.astype(dtype), dtype=dtype) for start in starts]
    optimizer = make()
    if accepts(optimizer):
        optimizer.build(variables)
    return optimizer, variables


def rate(optimizer: Any) -> float | None:
    """The learning rate; None if it follows a schedule of its own."""
    held = optimizer._learning_rate
    return None if isinstance(held, keras.optimizers.schedules.LearningRateSchedule) else float(held)


def run(
    make: Callable[..., Any], starts: Sequence[np.ndarray], gradients: Sequence[np.ndarray], factors: Sequence[float],
    dtype: str, mode: str, push: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[list[np.ndarray]]:  # fmt: skip
    """The variables after each step."""
    optimizer, variables = made(make, starts, dtype)
    own, apply = rate(optimizer), native.in_mode(optimizer, mode)
    for step, factor in enumerate(factors):
        if own is not None:
            optimizer.learning_rate = float(np.float32(own * factor))
        given = [np.asarray(g[step], dtype) for g in gradients]
        apply([tf.constant(push(g) if push else g) for g in given])
        yield [variable.numpy() for variable in variables]
        for kept in _kept(optimizer, variables) if push else ():
            kept.assign(push(kept.numpy()))  # type: ignore[misc]


def _kept(optimizer: Any, variables: Sequence[Any]) -> Iterator[Any]:
    """The variables, and all arrays of the state."""
    yield from variables
    yield from (x for x in optimizer.variables if x.shape and keras.backend.is_float_dtype(x.dtype))
