"""Cases for the tests of parts: schedules, clipping, averages.

Their limits come from running error analysis.
"""

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

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
    Start,
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
FURTHER_AVERAGES: list[Average] = [
    MovingAverage(keep=0.9, start=Start.ZERO),
    MovingAverage(keep=0.9, start=Start.CORRECTED),
    MovingAverage(keep=0.875, start=Start.INITIAL),
    MovingAverage(keep=0.99, start=Start.INITIAL, by_updates=True),
    MovingAverage(keep=0.25, by_updates=True),
]


def rates(schedule: Schedule, steps: int = STEPS, xp: Any = scalars) -> list[Any]:
    """The learning rates of the steps 1 to ``steps``."""
    return [schedule.rate(step, xp) for step in range(1, steps + 1)]


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """All elements of all arrays as one float64 array."""
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


def holds(expected: Any, actual: Any, bounds: Any) -> Verdict:
    """The verdict on arrays of numbers, each with its own bound, as on one step from zero."""
    due, seen, bound = (_row(x) for x in (expected, actual, bounds))
    return judge_tensor(np.zeros(due.shape[1]), due, seen, bound)


def _row(values: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(values, np.float64)).reshape(1, -1)


def bounded(dtype: str) -> SimpleNamespace:
    """Scalar functions on bounded numbers; in float32 each number is rounded when it enters."""
    unit = ROUNDOFF[dtype]
    entering = unit if dtype == "float32" else 0.0

    def number(x: Any) -> Bounded:
        return x if isinstance(x, Bounded) else Bounded(x, abs(x) * entering, dtype)

    def power(base: Any, exponent: Any) -> Bounded:
        base, exponent = number(base), number(exponent)
        value = base.value**exponent.value
        if not value:
            return Bounded(0.0, base.error, dtype)
        by_base = np.abs(exponent.value) * base.error / base.value
        by_exponent = np.abs(np.log(base.value)) * exponent.error
        return Bounded(value, value * (by_exponent + by_base + 2 * unit), dtype)

    return SimpleNamespace(
        where=scalars.where,
        ratio=lambda part, whole: number(part) / number(whole),
        power=power,
        integer_power=lambda base, n: scalars.integer_power(number(base), n),
    )


def bounds(schedule: Schedule, dtype: str, steps: int = STEPS) -> list[float]:
    """How far rounding in ``dtype`` can move each rate, by the schedule's own formula."""
    entering = ROUNDOFF[dtype] if dtype == "float32" else 0.0
    limits = []
    for exact, rate in zip(
        rates(schedule, steps), rates(schedule, steps, bounded(dtype)), strict=True
    ):
        limits.append(_bounded_rate(rate).error + entering * exact)
    return limits


def chained(schedule: Schedule, steps: int = STEPS) -> list[float]:
    """How far torch's schedulers can be from a schedule: they make each rate from the one before.

    They multiply it by a quotient of two rates. The error of the rate before grows by that
    quotient; the quotient has the errors of its two rates.
    """
    if isinstance(schedule, WarmUp):
        line = Polynomial(lr=schedule.start, end=schedule.then.rate(1), steps=schedule.steps)
        return [*chained(line, schedule.steps), *chained(schedule.then, steps - schedule.steps)]
    if isinstance(
        schedule, Piecewise | Constant
    ):  # two products a boundary, torch's and ours; two at first
        roundings = 2 * len(getattr(schedule, "boundaries", ())) + 2
        return [ROUNDOFF["float64"] * roundings * rate for rate in rates(schedule, steps)]
    end = schedule.end if isinstance(schedule, Cosine) else 0.0
    fields = dict(schedule.to_dict())
    fields["lr"] = schedule.lr - end  # type: ignore[attr-defined]
    if end:
        fields["end"] = 0.0
    above_end = [_bounded_rate(rate) for rate in rates(restore(fields), steps, bounded("float64"))]
    unit = ROUNDOFF["float64"]
    errors = [0.0]
    for old, new in itertools.pairwise(above_end):
        growth = new.value / old.value if old.value else 1.0
        of_old = new.value * old.error / old.value if old.value else old.error
        quotient = new.error + of_old + 3 * unit * new.value
        errors.append(errors[-1] * growth + quotient + 2 * unit * (new.value + end))
    return errors


class _Rate(NamedTuple):
    value: float
    error: float


def _bounded_rate(rate: Any) -> _Rate:
    if isinstance(rate, Bounded):
        return _Rate(float(rate.value), float(rate.error))
    return _Rate(float(rate), 0.0)
