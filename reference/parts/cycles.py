"""Schedules that rise and fall: restarts, triangles, and one cycle for a whole training.

I. Loshchilov, F. Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017,
arXiv:1608.03983, section 3.
L. N. Smith: Cyclical Learning Rates for Training Neural Networks. WACV 2017, arXiv:1506.01186.
L. N. Smith, N. Topin: Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
Rates. 2017, arXiv:1708.07120 (one cycle).
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from samestep.reference import scalars
from samestep.reference.namespace import Scalar, Scalars
from samestep.reference.rule import flag, number, one_of

from .part import given, whole
from .schedules import Schedule, cosine


class Shape(enum.Enum):
    """How the rate goes from one value to the next."""

    COSINE = "along half a wave of the cosine"
    LINE = "along a straight line"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class CosineRestarts(Schedule):
    """rate = lr w + end (1 - w) with w = factor^k (1 + cos(pi j / length)) / 2.

    k counts the restarts, and j the steps since the last one. The first cycle has ``steps`` steps,
    and each later one ``lengthen`` times as many as the one before.
    """

    lr: float = number(1e-2, "[0, inf)")
    end: float = number(0.0, "[0, inf)")
    steps: int = whole(1)
    lengthen: int = whole(1, 1)
    factor: float = number(1.0, "[0, inf)")

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        count, position, length = self._cycle(step - 1, xp)
        w = 0.5 * (1.0 + cosine(position, length, xp))
        if self.factor != 1:
            w = xp.integer_power(self.factor, count) * w
        return self.lr * w + self.end * (1.0 - w)

    def _cycle(self, n: Scalar, xp: Scalars) -> tuple[Scalar, Scalar, Scalar]:
        """The number of the cycle from 0 on, the place in it and its length, in whole numbers."""
        if self.lengthen == 1:
            return n // self.steps, n % self.steps, self.steps
        number, begin, length = 0, 0, self.steps
        count, start, present = number, begin, length
        while begin + length < 2**scalars.EXPONENT_BITS:
            number, begin, length = number + 1, begin + length, length * self.lengthen
            passed = n >= begin
            count = xp.where(passed, number, count)
            start = xp.where(passed, begin, start)
            present = xp.where(passed, length, present)
        return count, n - start, present


@dataclass(frozen=True, kw_only=True, repr=False)
class Cyclic(Schedule):
    """rate = lr (1 - w) + top w, where w rises from 0 to 1 and falls again, in straight lines.

    It rises for ``up`` steps and falls for ``down`` steps, again and again. w is multiplied by
    ``factor`` to the power of the cycles that are over; with ``each_step`` of the steps.
    """

    lr: float = number(1e-2, "[0, inf)")
    top: float = given("[0, inf)")
    up: int = whole(1)
    down: int = whole(1)
    factor: float = number(1.0, "(0, inf)")
    each_step: bool = flag()

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        n, total = step - 1, self.up + self.down
        j = n % total
        rising = xp.ratio(xp.where(j > self.up, 0, j), self.up)
        falling = xp.ratio(total - j, self.down)
        w = xp.where(j > self.up, falling, rising)
        if self.factor != 1:
            w = xp.integer_power(self.factor, n if self.each_step else n // total) * w
        return self.lr * (1.0 - w) + self.top * w


class Phase(NamedTuple):
    """A part of ``OneCycle``: after how many steps it begins and ends, and its two rates."""

    begin: float
    end: float
    first: float
    last: float


@dataclass(frozen=True, kw_only=True, repr=False)
class OneCycle(Schedule):
    """From ``start`` up to ``lr`` and down to ``end``, in ``steps`` steps.

    The rise ends after ``rise`` steps - 1 steps, which need not be a whole number. With
    ``three_phases`` the rate is back at ``start`` after as many steps again, and then goes to
    ``end``, if steps are left. Later steps have the rate of step ``steps``.
    """

    lr: float = number(1e-2, "[0, inf)")
    start: float = number(0.0, "[0, inf)")
    end: float = number(0.0, "[0, inf)")
    steps: int = whole(2)
    rise: float = number(0.3, "[0, 1]")
    shape: Shape = one_of(Shape.COSINE, Shape.LINE)
    three_phases: bool = flag()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rise * self.steps == 1:
            raise ValueError(
                f"rise * steps must not be 1, or the rise has no length, got {self.rise!r} * "
                f"{self.steps!r}"
            )

    def phases(self) -> list[Phase]:
        """The phases in order; a step belongs to the first phase that has not ended before it."""
        top = float(self.rise * self.steps) - 1
        last = float(self.steps - 1)
        if not self.three_phases:
            return [Phase(0.0, top, self.start, self.lr), Phase(top, last, self.lr, self.end)]
        back = float(2 * self.rise * self.steps) - 2
        return [
            Phase(0.0, top, self.start, self.lr),
            Phase(top, back, self.lr, self.start),
            Phase(back, last, self.start, self.end),
        ]

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        n = xp.ratio(xp.where(step > self.steps, self.steps - 1, step - 1), 1)
        *earlier, last = self.phases()
        rate = self._within(last, n, xp)
        for phase in reversed(earlier):
            rate = xp.where(n > phase.end, rate, self._within(phase, n, xp))
        return rate

    def _within(self, phase: Phase, n: Scalar, xp: Scalars) -> Scalar:
        """The rate in a phase; of no use where n is outside of it."""
        length = phase.end - phase.begin
        if not length:
            return phase.last
        place = n - phase.begin
        if self.shape is Shape.LINE:
            w = xp.ratio(phase.end - n, length)
        else:
            w = 0.5 * (1.0 + cosine(place, length, xp))
        return phase.first * w + phase.last * (1.0 - w)
