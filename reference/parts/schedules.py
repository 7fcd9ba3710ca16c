"""Schedules: the learning rate of each step.

I. Loshchilov, F. Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017,
arXiv:1608.03983, equation 5 (cosine).
P. Goyal et al.: Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour. 2017, arXiv:1706.02677,
section 2.2 (linear warm-up).
The others have no single source; what is fixed here is which step is the first with a new rate.

``rate`` uses only ``+ - * /``, whole powers and whole-number arithmetic, also for the cosine, so
that a host and a graph give the same double. Only a power with a fraction is the platform's.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference import scalars
from samestep.reference.namespace import Scalar, Scalars
from samestep.reference.rule import flag, number, one_of

from .part import Part, given, several, whole


class Switch(enum.Enum):
    """Which step is the first with the new rate, for a boundary after b steps."""

    AT = "step b + 1: b steps have the rates before the boundary"
    AFTER = "step b + 2: one more step has them"

    def __repr__(self) -> str:
        return str(self)


class After(enum.Enum):
    """What a cosine does when its steps are over."""

    STAY = "stays at its end"
    RETURN = "rises as it fell, falls again, and so on"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Schedule(Part):
    """The base of every schedule; rates have the units of ``lr``, n counts the steps taken."""

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        """The learning rate, a double, of ``step`` = 1, 2, ..., the step that is being taken.

        ``step`` is a whole number. With a framework's own ``xp`` it is the framework's whole-number
        tensor, and the result is its float64 tensor.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, repr=False)
class Constant(Schedule):
    """rate = lr."""

    lr: float = number(1e-2, "[0, inf)")

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        return xp.where(step > 0, self.lr, self.lr)


@dataclass(frozen=True, kw_only=True, repr=False)
class Piecewise(Schedule):
    """rate = rates[k] after k of the ``boundaries`` have been passed.

    A boundary b is passed when n >= b (``switch`` AT) or n > b (AFTER). ``boundaries`` must not
    fall, and ``rates`` must have one entry more.
    """

    boundaries: Sequence[float] = several("[0, inf)")
    rates: Sequence[float] = several("[0, inf)")
    switch: Switch = one_of(Switch.AT, Switch.AFTER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.boundaries) != sorted(self.boundaries) or any(b % 1 for b in self.boundaries):
            raise ValueError(
                f"boundaries must be whole numbers that do not fall, got {self.boundaries}"
            )
        if len(self.rates) != len(self.boundaries) + 1:
            count = len(self.rates)
            raise ValueError(
                f"rates must be one more than boundaries, got {count} for {self.boundaries}"
            )

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        first = 1 if self.switch is Switch.AT else 2
        rate = xp.where(step > 0, self.rates[0], self.rates[0])
        for boundary, new in zip(self.boundaries, self.rates[1:], strict=True):
            rate = xp.where(step >= int(boundary) + first, new, rate)
        return rate


@dataclass(frozen=True, kw_only=True, repr=False)
class Exponential(Schedule):
    """rate = lr factor^(n / steps); ``staircase``: the exponent is rounded down."""

    lr: float = number(1e-2, "[0, inf)")
    factor: float = given("(0, inf)")
    steps: int = whole(1, 1)
    staircase: bool = flag()

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        n = step - 1
        if self.staircase or self.steps == 1:
            return self.lr * xp.integer_power(self.factor, n // self.steps)
        return self.lr * xp.power(self.factor, xp.ratio(n, self.steps))


@dataclass(frozen=True, kw_only=True, repr=False)
class Polynomial(Schedule):
    """rate = lr w + end (1 - w) with w = (1 - n / steps)^power; from n = steps on it is ``end``.

    Power 1 is the straight line from ``lr`` to ``end``, upward too. With ``cycle`` the rate rises
    again after it has reached ``end``: the steps are then the least multiple of ``steps`` that is
    not below n.
    """

    lr: float = number(1e-2, "[0, inf)")
    end: float = number(0.0, "[0, inf)")
    steps: int = whole(1)
    power: float = number(1.0, "(0, inf)")
    cycle: bool = flag()

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        if self.cycle:
            n = step - 1
            steps = self.steps * xp.where(n > 0, (n + self.steps - 1) // self.steps, 1)
            before = steps - n
        else:
            steps, before = self.steps, _before(step, self.steps, xp)
        w = _power(xp.ratio(before, steps), self.power, xp)
        return self.lr * w + self.end * (1.0 - w)


@dataclass(frozen=True, kw_only=True, repr=False)
class Cosine(Schedule):
    """rate = lr (1 + c) / 2 + end (1 - c) / 2 with c = cos(pi n / steps)."""

    lr: float = number(1e-2, "[0, inf)")
    end: float = number(0.0, "[0, inf)")
    steps: int = whole(1)
    after: After = one_of(After.STAY, After.RETURN)

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        if self.after is After.RETURN:
            n = (step - 1) % (2 * self.steps)
            before = xp.where(n > self.steps, n - self.steps, self.steps - n)
        else:
            before = _before(step, self.steps, xp)
        c = cosine(self.steps - before, self.steps, xp)
        return self.lr * (0.5 * (1.0 + c)) + self.end * (0.5 * (1.0 - c))


@dataclass(frozen=True, kw_only=True, repr=False)
class InverseTime(Schedule):
    """rate = lr / (1 + factor n / steps); ``staircase``: n / steps is rounded down."""

    lr: float = number(1e-2, "[0, inf)")
    factor: float = given("[0, inf)")
    steps: int = whole(1, 1)
    staircase: bool = flag()

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        n = step - 1
        time = xp.ratio(n // self.steps, 1) if self.staircase else xp.ratio(n, self.steps)
        return self.lr / (1.0 + self.factor * time)


@dataclass(frozen=True, kw_only=True, repr=False)
class WarmUp(Schedule):
    """A straight line from ``start`` to the first rate of ``then``, and after it ``then``.

    The line has ``steps`` steps. Step 1 has the rate ``start``, so with ``start`` 0 it moves
    nothing. Step ``steps`` + 1 is the first of ``then``, which counts its own steps from there.
    With ``beneath``, ``then`` has run beneath the line since step 1, as in BERT's training, so that
    the rate leaps from the line to what is left of ``then``.
    """

    start: float = number(0.0, "[0, inf)")
    steps: int = whole(1)
    then: Schedule
    beneath: bool = flag()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.then, Schedule):
            raise ValueError(
                f"then must be a schedule such as Cosine(lr=0.1, steps=100), got {self.then!r}"
            )

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        line = Polynomial(lr=self.start, end=self.then.rate(1), steps=self.steps)
        later = step if self.beneath else xp.where(step > self.steps, step - self.steps, 1)
        return xp.where(step > self.steps, self.then.rate(later, xp), line.rate(step, xp))


def _before(step: Scalar, steps: int, xp: Scalars) -> Scalar:
    """How many of ``steps`` steps are still to come when ``step`` is taken, none afterwards."""
    return xp.where(step > steps, 0, steps + 1 - step)


def _power(base: Scalar, exponent: float, xp: Scalars) -> Scalar:
    """base^exponent; for a whole exponent by multiplications only."""
    if exponent % 1:
        return xp.power(base, exponent)
    return scalars.integer_power(base, int(exponent))


def _series(terms: int) -> Sequence[float]:
    """The coefficients of cos x in powers of x^2, the highest first."""
    return [(-1.0) ** k / math.factorial(2 * k) for k in reversed(range(terms))]


def cosine(part: Scalar, whole: Scalar, xp: Scalars) -> Scalar:
    """cos(pi part / whole) for 0 <= part <= whole, by its series.

    The second half of the wave is the first with the sign turned. That is done before the
    division, so that the ends are 1 and -1 exactly.
    """
    second = 2 * part > whole
    x = math.pi * xp.ratio(xp.where(second, whole - part, part), whole)
    square = x * x
    total, *coefficients = _series(12)  # the next term is below 1e-19 for x up to pi / 2
    for coefficient in coefficients:
        total = total * square + coefficient
    return xp.where(second, -total, total)
