"""What the tests of the things around a rule share: cases, and limits by running error analysis."""

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from samestep.parity.measure.bounded import ROUNDOFF, Bounded
from samestep.parity.measure.verdict import Verdict, judge_tensor
from samestep.reference import scalars
from samestep.reference.parts import (
    After,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    ClipValue,
    Constant,
    Cosine,
    EqualAverage,
    Exponential,
    Infinite,
    MovingAverage,
    Piecewise,
    Polynomial,
    Schedule,
    Switch,
    WarmUp,
    restore,
)

STEPS = 60

SCHEDULES: list[Schedule] = [
    Constant(lr=0.1),
    Piecewise(boundaries=[3, 7, 30], rates=[0.5, 0.25, 0.125, 0.0625]),
    Piecewise(boundaries=[3, 7], rates=[0.5, 0.2, 0.1], switch=Switch.AFTER),
    Exponential(lr=0.1, factor=0.93),
    Exponential(lr=0.1, factor=0.8, steps=7),
    Exponential(lr=0.1, factor=0.8, steps=7, staircase=True),
    Polynomial(lr=0.1, steps=23),
    Polynomial(lr=0.1, end=0.003, steps=23),
    Polynomial(lr=0.1, steps=23, power=0.9),
    Polynomial(lr=0.1, end=0.003, steps=23, power=2.0),
    Cosine(lr=0.1, end=0.003, steps=23),
    Cosine(lr=0.1, end=0.003, steps=23, after=After.RETURN),
    WarmUp(steps=5, then=Cosine(lr=0.1, steps=40)),
    WarmUp(start=0.02, steps=5, then=Cosine(lr=0.1, end=0.001, steps=40)),
    WarmUp(start=0.02, steps=5, then=Exponential(lr=0.1, factor=0.9)),
]

CLIPPINGS: list[Clipping] = [
    ClipValue(limit=0.3),
    ClipNorm(limit=0.7),
    ClipGlobalNorm(limit=0.7),
    ClipGlobalNorm(limit=0.7, infinite=Infinite.NAN),
    ClipGlobalNorm(limit=0.7, added=1e-6),
    ClipGlobalNorm(limit=1e6, added=1e-6),
]


AVERAGES: list[Average] = [MovingAverage(keep=0.9), EqualAverage()]


def rates(schedule: Schedule, steps: int = STEPS, xp: Any = scalars) -> list[Any]:
    """The rates of the first steps."""
    return [schedule.rate(step, xp) for step in range(1, steps + 1)]


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """All elements of all arrays, float64."""
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


def holds(expected: Any, actual: Any, bounds: Any) -> Verdict:
    """The verdict on numbers that lie side by side."""
    one, other, bound = (np.atleast_1d(np.asarray(x, np.float64)).reshape(1, -1) for x in (expected, actual, bounds))
    return judge_tensor(np.zeros(one.shape[1]), one, other, bound)


def bounded(dtype: str) -> SimpleNamespace:
    """Scalar functions on bounded numbers. What is no double is rounded when it enters."""
    unit, entering = ROUNDOFF[dtype], ROUNDOFF[dtype] if dtype == "float32" else 0.0

    def number(x: Any) -> Bounded:
        return x if isinstance(x, Bounded) else Bounded(x, abs(x) * entering, dtype)

    def power(base: Any, exponent: Any) -> Bounded:
        b, p = number(base), number(exponent)
        value = b.value**p.value
        if not value:
            return Bounded(0.0, b.error, dtype)
        error = value * (np.abs(np.log(b.value)) * p.error + np.abs(p.value) * b.error / b.value + 2 * unit)
        return Bounded(value, error, dtype)

    return SimpleNamespace(
        where=scalars.where,
        ratio=lambda part, whole: number(part) / number(whole),
        power=power,
        integer_power=lambda base, n: scalars.integer_power(number(base), n),  # type: ignore[arg-type]
    )


def bounds(schedule: Schedule, dtype: str, steps: int = STEPS) -> list[float]:
    """How far rounding in ``dtype`` can move each rate, by the schedule's own formula."""
    found = rates(schedule, steps, bounded(dtype))
    entering = [ROUNDOFF[dtype] * rate for rate in rates(schedule, steps)] if dtype == "float32" else [0.0] * steps
    return [_bounded_rate(rate)[1] + e for rate, e in zip(found, entering, strict=True)]


def chained(schedule: Schedule, steps: int = STEPS) -> list[float]:
    """How far torch's way can lead from a schedule: it makes each rate from the last, by a quotient of two rates.

    What the last rate was off grows by that quotient, and the quotient is off by what its two rates are.
    """
    if isinstance(schedule, WarmUp):
        line = Polynomial(lr=schedule.start, end=schedule.then.rate(1), steps=schedule.steps)
        return [*chained(line, schedule.steps), *chained(schedule.then, steps - schedule.steps)]
    if isinstance(schedule, Piecewise | Constant):  # two products a boundary, torch's and ours; two at first
        roundings = 2 * len(getattr(schedule, "boundaries", ())) + 2
        return [ROUNDOFF["float64"] * roundings * rate for rate in rates(schedule, steps)]
    end = getattr(schedule, "end", 0.0) if isinstance(schedule, Cosine) else 0.0
    fields = {**schedule.to_dict(), "lr": schedule.lr - end, **({"end": 0.0} if end else {})}  # type: ignore[attr-defined]
    above, unit = [_bounded_rate(r) for r in rates(restore(fields), steps, bounded("float64"))], ROUNDOFF["float64"]
    errors = [0.0]
    for old, new in itertools.pairwise(above):
        grown = new[0] / old[0] if old[0] else 1.0
        quotient = new[1] + (new[0] * old[1] / old[0] if old[0] else old[1]) + 3 * unit * new[0]
        errors.append(errors[-1] * grown + quotient + 2 * unit * (new[0] + end))
    return errors


def _bounded_rate(rate: Any) -> tuple[float, float]:
    return (float(rate.value), float(rate.error)) if isinstance(rate, Bounded) else (float(rate), 0.0)
