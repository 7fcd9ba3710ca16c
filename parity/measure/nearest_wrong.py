"""The separation: a limit is worth something only if it keeps out the nearest wrong rule."""

import functools
import math
from typing import NamedTuple

import numpy as np

from samestep.reference import Rule

from . import limits, streams
from . import verdict as verdicts
from . import wrong_rules as mutants

STEPS = 60
LONG = 200  # steps of ``tox -e parity-full``

UNTOLD = {  # what a dtype cannot tell in some calls, since the difference is below its rounding; float64 tells them all
    "float64": set(),
    "float32": {
        "adagrad: epsilon is in the wrong place",
        "adagrad: epsilon is forgotten",  # both are 1e-7 beside an initial 0.1
        "adafactor: epsilon1 is in the wrong place",  # 1e-30 beside squares of 1e-20
        "muon: epsilon is in the wrong place",  # 1e-7 beside norms of 10
        "asgd: rate falls a step early",  # lambd lr alpha is 7.5e-7 by default
    },
}


class Wrong(NamedTuple):
    """A wrong rule at the step and element that tell it best from the right one; distances are shares of the path."""

    name: str
    distance: float
    limit: float

    @property
    def kept_out(self) -> bool:
        """Whether the limit tells it from the right rule."""
        return self.distance > self.limit

    @property
    def excess(self) -> float:
        """How many limits away it is."""
        return self.distance / self.limit if self.limit else math.inf


class TensorTrial(NamedTuple):
    """A rule on all streams at once: where it starts (n,), what comes (steps, n), at which rates; n counts them all.

    Rules that need a matrix have (rows, columns) for n.
    """

    start: np.ndarray
    gradients: np.ndarray
    rates: list[float]


def trial(rule: Rule, steps: int = STEPS) -> TensorTrial:
    """The trial of a rule: every element of every stream, side by side, at a falling rate that float32 can hold."""
    gradients = _gradients(steps)
    rates = [float(np.float32(rate)) for rate in streams.rates(rule.lr, steps)]
    start = np.tile(streams.start(), len(streams.PATTERNS))
    return TensorTrial(streams.suit(rule, start), streams.suit(rule, gradients), rates)


@functools.cache
def _gradients(steps: int) -> np.ndarray:
    return np.concatenate([streams.gradients(stream, steps) for stream in streams.PATTERNS], axis=1)


@functools.cache
def expectation(rule: Rule, dtype: str, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Where the rule goes on its trial (NumPy, float64), and how far rounding in ``dtype`` can move it."""
    start, gradients, rates = trial(rule, steps)
    expected = verdicts.run(rule, start, gradients, "float64", rates)
    return expected, limits.bounds(rule, start, gradients, dtype, rates)


@functools.cache
def wrong_rules(rule: Rule, dtype: str, steps: int = STEPS) -> tuple[Wrong, ...]:
    """The wrong rules that differ from ``rule`` at all, the nearest to its limit first; ValueError if there is none."""
    start, (expected, bounds) = trial(rule, steps).start, expectation(rule, dtype, steps)
    told = [_compared(name, course, start, expected, bounds) for name, course in _courses(rule, steps).items()]
    if not any(wrong.distance for wrong in told):
        raise ValueError(f"no mutant changes {rule!r}; add one to parity/mutants/rules.py")
    return tuple(sorted((wrong for wrong in told if wrong.distance), key=lambda wrong: wrong.excess))


def nearest_wrong(rule: Rule, dtype: str, steps: int = STEPS) -> Wrong:
    """The nearest of the wrong rules, but for those that the dtype is known not to tell from ``rule``."""
    return next(wrong for wrong in wrong_rules(rule, dtype, steps) if wrong.kept_out or wrong.name not in UNTOLD[dtype])


@functools.cache
def _courses(rule: Rule, steps: int) -> dict[str, np.ndarray | None]:
    """The course of each wrong rule on the trial of the right one, which no dtype changes."""
    kinds = mutants.wrong_rules(type(rule).__name__)
    return {name: _course(kind(**rule.to_dict()), trial(rule, steps)) for name, kind in kinds.items()}


def held(name: str, wrong: Rule, trial: TensorTrial, expected: np.ndarray, bounds: np.ndarray) -> Wrong:
    """A wrong rule on a trial, held to where the right one goes there and how far rounding can move it."""
    return _compared(name, _course(wrong, trial), trial.start, expected, bounds)


def _course(wrong: Rule, trial: TensorTrial) -> np.ndarray | None:
    """Where it goes (NumPy, float64); None if it is so wrong that it cannot take the steps."""
    try:
        return verdicts.run(wrong, trial.start, trial.gradients, "float64", trial.rates)
    except ArithmeticError:
        return None


def _compared(
    name: str, course: np.ndarray | None, start: np.ndarray, expected: np.ndarray, bounds: np.ndarray
) -> Wrong:
    if course is None:
        return Wrong(name, math.inf, 0.0)
    verdict = verdicts.compare(start, expected, course, bounds)
    return Wrong(name, verdict.distance, verdict.limit)
