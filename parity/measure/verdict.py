"""Trajectories: where each step took the parameters, and how two of them are compared."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import samestep.frameworks.numpy
from samestep.reference import Rule

from .limits import SAFETY


class Verdict(NamedTuple):
    """The outcome of one comparison, at the step and element where it came closest to its limit or went beyond.

    ``distance`` and ``limit`` are shares of the path: of the farthest that any element has travelled by then.
    """

    holds: bool
    distance: float
    limit: float
    step: int
    element: int
    values: tuple[float, float]

    def __str__(self) -> str:
        word = "within" if self.holds else "BEYOND"
        a, b = self.values
        return (
            f"distance {self.distance:.3g} of the path, {word} the limit {self.limit:.3g}, "
            f"at step {self.step}, element {self.element}: {a!r} against {b!r}"
        )


def run(
    rule: Rule, theta: np.ndarray, gradients: np.ndarray, dtype: str, rates: Sequence[float] | None = None
) -> np.ndarray:
    """The rule's trajectory in NumPy, (steps, *theta.shape), in ``dtype``; at ``rates``, else the rule's own rate."""
    parameter = theta.astype(dtype)
    optimizer = samestep.frameworks.numpy.Optimizer([parameter], rule)
    thetas = []
    for gradient, optimizer.lr in zip(gradients, rates or [rule.lr] * len(gradients), strict=True):
        optimizer.step([gradient.astype(dtype)])
        thetas.append(parameter.copy())
    return np.array(thetas)


def paths(start: np.ndarray, trajectory: np.ndarray) -> np.ndarray:
    """The farthest that any element has travelled by each step, (steps,); infinite where no float64 holds it."""
    start, trajectory = start.ravel(), trajectory.reshape(len(trajectory), -1)
    with np.errstate(over="ignore"):
        moves = np.abs(np.diff(trajectory.astype(np.float64), axis=0, prepend=start[None].astype(np.float64)))
        return np.cumsum(moves, axis=0).max(axis=1)


def compare(start: np.ndarray, expected: np.ndarray, actual: np.ndarray, bounds: np.ndarray) -> Verdict:
    """Hold ``actual`` to ``expected`` (steps, *shape): none may ever be farther away than ``SAFETY`` times its bound.

    Not-a-number agrees with not-a-number alone, infinity with itself. ValueError if the shapes differ or are empty.
    """
    if not expected.shape == actual.shape == bounds.shape or not expected.size:
        raise ValueError(f"shapes must be equal and not empty, got {expected.shape}, {actual.shape}, {bounds.shape}")
    a, b, bounds = (x.astype(np.float64).reshape(len(x), -1) for x in (expected, actual, bounds))
    gap, limit, excess = held(a, b, bounds)
    step, element = np.unravel_index(np.argmax(excess), excess.shape)
    path = paths(start, np.nan_to_num(a))[step] or 1.0
    return Verdict(
        holds=bool(excess[step, element] <= 1),
        distance=float(gap[step, element] / path),
        limit=float(limit[step, element] / path),
        step=int(step) + 1,
        element=int(element),
        values=(float(a[step, element]), float(b[step, element])),
    )


def held(a: np.ndarray, b: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elementwise: the gap, the limit (``SAFETY`` times the bound), and their ratio; infinite where nothing may differ.

    Not-a-number agrees with not-a-number alone, infinity with itself.
    """
    with np.errstate(all="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        gap = np.where(np.isnan(gap), np.inf, gap)
        limit = SAFETY * bounds
        excess = np.where(gap == 0, 0.0, gap / limit)
        return gap, limit, np.where(np.isnan(excess), np.inf, excess)
