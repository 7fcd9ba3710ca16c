"""The separation: a limit is worth something only if it keeps out the nearest wrong rule."""

import functools
import math
from typing import NamedTuple

import numpy as np

from reference import Rule

from . import limits, mutants, streams, trajectory

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


class Trial(NamedTuple):
    """A rule on all streams at once: where it starts (n,), what comes (steps, n), at which rates; n counts them all.

    Rules that need a matrix have (rows, columns) for n.
    """

    start: np.ndarray
    gradients: np.ndarray
    rates: list[float]


def trial(rule: Rule, steps: int = STEPS) -> Trial:
    """The trial of a rule: every element of every stream, side by side, at a falling rate that float32 can hold."""
    gradients = np.concatenate([streams.gradients(stream, steps) for stream in streams.PATTERNS], axis=1)
    rates = [float(np.float32(rate)) for rate in streams.rates(rule.lr, steps)]
    start = np.tile(streams.start(), len(streams.PATTERNS))
    return Trial(streams.suit(rule, start), streams.suit(rule, gradients), rates)


@functools.cache
def expectation(rule: Rule, dtype: str, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Where the rule goes on its trial (NumPy, float64), and how far rounding in ``dtype`` can move it."""
    start, gradients, rates = trial(rule, steps)
    expected = trajectory.run(rule, start, gradients, "float64", rates)
    return expected, limits.bounds(rule, start, gradients, dtype, rates)


@functools.cache
def wrong_rules(rule: Rule, dtype: str, steps: int = STEPS) -> tuple[Wrong, ...]:
    """The wrong rules that differ from ``rule`` at all, the nearest to its limit first; ValueError if there is none."""
    kinds = mutants.wrong_rules(type(rule).__name__)
    told = [_told(name, kind(**rule.plain()), rule, dtype, steps) for name, kind in kinds.items()]
    if not any(wrong.distance for wrong in told):
        raise ValueError(f"no mutant changes {rule!r}; add one to parity/mutants/rules.py")
    return tuple(sorted((wrong for wrong in told if wrong.distance), key=lambda wrong: wrong.excess))


def nearest_wrong(rule: Rule, dtype: str, steps: int = STEPS) -> Wrong:
    """The nearest of the wrong rules, but for those that the dtype is known not to tell from ``rule``."""
    return next(wrong for wrong in wrong_rules(rule, dtype, steps) if wrong.kept_out or wrong.name not in UNTOLD[dtype])


def _told(name: str, wrong: Rule, rule: Rule, dtype: str, steps: int) -> Wrong:
    return held(name, wrong, trial(rule, steps), *expectation(rule, dtype, steps))


def held(name: str, wrong: Rule, trial: Trial, expected: np.ndarray, bounds: np.ndarray) -> Wrong:
    """A wrong rule on a trial, held to where the right one goes there and how far rounding can move it."""
    try:
        actual = trajectory.run(wrong, trial.start, trial.gradients, "float64", trial.rates)
    except ArithmeticError:  # so wrong that it cannot take the step
        return Wrong(name, math.inf, 0.0)
    verdict = trajectory.compare(trial.start, expected, actual, bounds)
    return Wrong(name, verdict.distance, verdict.limit)
