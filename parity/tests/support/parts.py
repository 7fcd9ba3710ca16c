"""Cases for the tests of parts: schedules, clipping, averages.

Their limits come from running error analysis.
"""

import ast
import itertools
import math
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
    CosineRestarts,
    Cyclic,
    EqualAverage,
    Exponential,
    Infinite,
    InverseTime,
    MovingAverage,
    OneCycle,
    Piecewise,
    Polynomial,
    Product,
    Schedule,
    Shape,
    Stages,
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

FURTHER_SCHEDULES: list[Schedule] = [
    WarmUp(steps=5, then=Polynomial(lr=0.1, steps=40), beneath=True),
    WarmUp(start=0.02, steps=7, then=Cosine(lr=0.1, end=0.01, steps=40), beneath=True),
    InverseTime(lr=0.1, factor=0.5, steps=3),
    InverseTime(lr=0.1, factor=0.25, steps=4, staircase=True),
    Polynomial(lr=0.1, end=0.01, steps=9, power=2.0, cycle=True),
    CosineRestarts(lr=0.1, end=0.01, steps=9),
    CosineRestarts(lr=0.1, end=0.01, steps=5, lengthen=2),
    CosineRestarts(lr=0.1, steps=3, lengthen=3),
    CosineRestarts(lr=0.1, steps=5, lengthen=2, factor=0.75),
    CosineRestarts(lr=0.1, end=0.001, steps=7, factor=0.5),
    Cyclic(lr=0.01, top=0.1, up=4, down=7),
    Cyclic(lr=0.01, top=0.1, up=4, down=4, factor=0.5),
    Cyclic(lr=0.01, top=0.1, up=5, down=3, factor=0.97, each_step=True),
    Cyclic(lr=0.01, top=0.1, up=5, down=3, factor=0.3),
    OneCycle(lr=0.1, start=0.004, end=0.0001, steps=60),
    OneCycle(lr=0.1, start=0.004, end=0.0001, steps=60, rise=0.21, shape=Shape.LINE),
    OneCycle(lr=0.1, start=0.01, end=0.001, steps=63, rise=0.42, three_phases=True),
    OneCycle(lr=0.1, start=0.01, end=0.001, steps=60, rise=0.0),
    OneCycle(lr=0.1, steps=60),
    Stages(
        schedules=[Polynomial(lr=0.025, end=0.1, steps=4), Exponential(lr=0.1, factor=0.9)],
        boundaries=[9],
    ),
    Stages(
        schedules=[Constant(lr=0.1), InverseTime(lr=0.2, factor=0.5), Constant(lr=0.05)],
        boundaries=[9, 30],
    ),
    Product(
        lr=0.1,
        factors=[Exponential(lr=1.0, factor=0.93), Polynomial(lr=0.25, end=1.0, steps=8)],
    ),
    Product(lr=0.1, factors=[Cosine(lr=1.0, steps=50), InverseTime(lr=1.0, factor=0.125)]),
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


def direct(schedule: Schedule, text: str, steps: int = STEPS) -> list[float]:
    """How far a scheduler can be from a schedule that it computes anew at each step.

    Its own rounding: each operation of ``text``, the formula, loses at most one unit in the last
    place of the largest number in it, which is the highest rate times the angle of a whole wave.
    Ours is added.
    """
    operations = sum(isinstance(node, ast.BinOp | ast.Call) for node in ast.walk(ast.parse(text)))
    top = max(rates(schedule, steps))
    own = bounds(schedule, "float64", steps)
    return [error + ROUNDOFF["float64"] * operations * 2 * math.pi * top for error in own]


class _Rate(NamedTuple):
    value: float
    error: float


def _bounded_rate(rate: Any) -> _Rate:
    if isinstance(rate, Bounded):
        return _Rate(float(rate.value), float(rate.error))
    return _Rate(float(rate), 0.0)
