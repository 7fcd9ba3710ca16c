"""Hyperparameters that make a rule go where the black box went: least squares, from a proposed start.

What comes out is a proposal. How near it is decides nothing.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule

from .gap import Data, gaps, size
from .variants import LEAST

ROUNDS = 40
UNIT_ROUNDOFF = 2.0**-53
WIDEST = 0.1  # of a central difference: a tenth of a number that may be zero, or of a logarithm
UNIT = ("beta1", "beta2", "rho", "momentum", "fall", "adam_beta1", "adam_beta2")  # between 0 and 1, ends excluded
SIGNED = ("lr_power", "beta2_decay", "a", "b", "c")  # any real number, or negative
GROWING = (
    "lr", "epsilon", "epsilon1", "epsilon2", "initial_accumulator", "initial_mean_square", "clip", "warmup", "lr_scale",
)  # fmt: skip  # positive, of any size


class Found(NamedTuple):
    """A rule, how far it is from the data, and which of its numbers were fitted."""

    rule: Rule
    gap: float
    names: tuple[str, ...]


@np.errstate(all="ignore")
def fitted(
    kind: type[Rule], fixed: Mapping[str, Any], start: Mapping[str, Any], given: Data, rounds: int = ROUNDS
) -> Found | None:
    """The rule of ``kind`` that comes nearest, from ``start``, by the method of Levenberg and Marquardt; None if there
    is none with such hyperparameters."""
    names, scales = list(start), given.scales()
    point = np.array([_in(name, value) for name, value in start.items()])

    def rule(at: np.ndarray) -> Rule:
        told: dict[str, Any] = {name: _out(name, x) for name, x in zip(names, at, strict=True)}
        return kind(**fixed, **told)

    try:
        gap = gaps(rule(point), given, scales)
    except ValueError:
        return None
    damping = 1e-3
    for _ in range(rounds):
        slopes = _slopes(lambda at: gaps(rule(at), given, scales), point, gap)
        step, damping = _step(rule, given, scales, point, gap, slopes, damping)
        if step is None:
            break
        before, (point, gap) = size(gap), step
        if size(gap) < 1e-14 or size(gap) > before * (1 - 1e-9):
            break
    return Found(rule(point), size(gap), tuple(names))


def _slopes(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Central differences, the wider the less a coordinate moves: rounding would hide what it does."""
    columns = []
    for i, x in enumerate(point):
        away = 1e-5 * max(abs(x), 1e-2)
        column = _slope(function, point, i, here, away)
        best = min(WIDEST * min(1.0, abs(x)), float(np.cbrt(UNIT_ROUNDOFF / (size(column) or UNIT_ROUNDOFF))))
        columns.append(_slope(function, point, i, here, best) if best > 4 * away else column)
    return np.stack(columns, axis=1)


def _slope(
    function: Callable[[np.ndarray], np.ndarray], point: np.ndarray, i: int, here: np.ndarray, away: float
) -> np.ndarray:  # fmt: skip
    """A central difference; on the edge of where the hyperparameters may lie, to one side."""
    ends = []
    for side in (away, -away):
        try:
            ends.append((function(_moved(point, i, side)), side))
        except ValueError:
            ends.append((here, 0.0))
    width = ends[0][1] - ends[1][1]
    return (ends[0][0] - ends[1][0]) / width if width else np.zeros_like(here)


def _moved(point: np.ndarray, i: int, away: float) -> np.ndarray:
    moved = point.copy()
    moved[i] += away
    return moved


def _step(
    rule: Callable[[np.ndarray], Rule], given: Data, scales: Sequence[np.ndarray], point: np.ndarray, gap: np.ndarray,
    slopes: np.ndarray, damping: float,
) -> tuple[tuple[np.ndarray, np.ndarray] | None, float]:  # fmt: skip
    """A better point and its gap, None if none is found; and the damping that it took."""
    normal, pull = slopes.T @ slopes, slopes.T @ gap
    weight = np.diag(normal) + 1e-300
    for _ in range(12):
        try:
            move = np.linalg.solve(normal + damping * np.diag(weight), pull)
        except np.linalg.LinAlgError:
            damping *= 10
            continue
        try:
            there = gaps(rule(point - move), given, scales)
        except ValueError:  # outside of where the hyperparameters may lie
            there = None
        if there is not None and size(there) < size(gap):
            return (point - move, there), max(damping / 10, 1e-12)
        damping *= 10
    return None, damping


def _in(name: str, value: float) -> float:
    """A hyperparameter as a coordinate without bounds, where that helps; on its bound, next to it."""
    if name in UNIT:
        value = min(max(value, LEAST), 1 - UNIT_ROUNDOFF)
        return float(np.log(value / (1 - value)))
    return float(np.log(max(value, LEAST))) if name in GROWING else value


def _out(name: str, x: float) -> float:
    with np.errstate(all="ignore"):
        if name in UNIT:
            return float(1 / (1 + np.exp(-x)))
        if name in GROWING:
            return float(np.exp(x))
    return x if name in SIGNED else max(x, 0.0)


@np.errstate(all="ignore")
def ranked(
    kind: type[Rule], fixed: Mapping[str, Any], grid: Mapping[str, Sequence[float]],
    start: Callable[[dict[str, Any]], dict[str, Any]], given: Data,
) -> list[tuple[float, dict[str, Any]]]:  # fmt: skip
    """The starts from which to fit, all on a grid, the nearest first, and their gaps."""
    scales = given.scales()
    found: list[tuple[float, dict[str, Any]]] = []
    for values in itertools.product(*grid.values()):
        at = start(dict(zip(grid, values, strict=True)))
        try:
            found.append((size(gaps(kind(**fixed, **at), given, scales)), at))
        except ValueError:
            continue
    return sorted(found, key=lambda row: row[0])
