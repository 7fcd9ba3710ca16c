"""The nearest wrong rule: a limit is worth something only if it rejects it."""

import functools
import math
from typing import NamedTuple

import numpy as np

from samestep.reference import Rule

from . import limits, streams
from .limits import Limits
from .rule_run import run_rule
from .trajectory import Trajectory
from .trial import Trial, of_arrays
from .verdict import judge
from .wrong_rules import wrong_rules

STEPS = 60
LONG = 200  # steps of ``tox -e parity-full``
TENSOR = "all streams"  # the one tensor of the trial

INDISTINGUISHABLE: dict[str, set[str]] = {
    # wrong rules that a dtype cannot reject in some calls, since the difference is below its
    # rounding
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
    """A wrong rule, and how far it is from the right one where that shows best; both figures are
    shares of the path.
    """

    name: str
    distance: float
    limit: float

    @property
    def rejected(self) -> bool:
        """True if the limit tells the wrong rule from the right one."""
        return self.distance > self.limit

    @property
    def excess(self) -> float:
        """How many limits away the wrong rule is."""
        return self.distance / self.limit if self.limit else math.inf


def designed_trial(rule: Rule, steps: int = STEPS) -> Trial:
    """The trial on which a rule and its natives are judged: every element of every stream, in one
    tensor.

    The tensor has shape (n,), or (rows, columns) for rules that need a matrix. The learning rate
    falls once.
    """
    start = np.tile(streams.start(), len(streams.PATTERNS))
    return of_arrays(
        {TENSOR: streams.suit(rule, start)},
        {TENSOR: streams.suit(rule, _gradients(steps))},
        streams.rates(1.0, steps),
    )


@functools.cache
def _gradients(steps: int) -> np.ndarray:
    return np.concatenate([streams.gradients(stream, steps) for stream in streams.PATTERNS], axis=1)


class Expectation(NamedTuple):
    """The designed trial of a rule, the rule's trajectory on it (NumPy, float64), and its limits in
    a dtype.
    """

    trial: Trial
    trajectory: Trajectory
    limits: Limits


@functools.cache
def expectation(rule: Rule, dtype: str, steps: int = STEPS) -> Expectation:
    """The rule on its designed trial, and how far rounding in ``dtype`` can move it."""
    trial, trajectory = _run(rule, steps)
    return Expectation(trial, trajectory, limits.of_rule(rule, trial, dtype))


@functools.cache
def _run(rule: Rule, steps: int) -> tuple[Trial, Trajectory]:
    trial = designed_trial(rule, steps)
    return trial, run_rule(rule, trial, "float64")


@functools.cache
def all_wrong(rule: Rule, dtype: str, steps: int = STEPS) -> tuple[Wrong, ...]:
    """The wrong rules that differ from ``rule`` at all, the nearest to its limit first; ValueError
    if there is none.
    """
    expected = expectation(rule, dtype, steps)
    compared = [
        compare_wrong(name, trajectory, expected)
        for name, trajectory in _wrong_trajectories(rule, steps).items()
    ]
    different = [wrong for wrong in compared if wrong.distance]
    if not different:
        raise ValueError(
            f"no wrong rule differs from {rule!r}; add one to parity/measure/wrong_rules/table.py"
        )
    return tuple(sorted(different, key=lambda wrong: wrong.excess))


def nearest_wrong(rule: Rule, dtype: str, steps: int = STEPS) -> Wrong:
    """The nearest wrong rule, except those that the dtype is known not to tell from ``rule``."""
    return next(
        wrong
        for wrong in all_wrong(rule, dtype, steps)
        if wrong.rejected or wrong.name not in INDISTINGUISHABLE[dtype]
    )


@functools.cache
def _wrong_trajectories(rule: Rule, steps: int) -> dict[str, Trajectory | None]:
    """The trajectory of each wrong rule on the designed trial of the right one, in float64."""
    trial, _ = _run(rule, steps)
    kinds = wrong_rules(type(rule).__name__)
    return {name: run_wrong(kind(**rule.to_dict()), trial) for name, kind in kinds.items()}


def run_wrong(wrong: Rule, trial: Trial) -> Trajectory | None:
    """The trajectory of a wrong rule (NumPy, float64); None if it is so wrong that it cannot take
    the steps.
    """
    try:
        return run_rule(wrong, trial, "float64")
    except ValueError:
        return None


def compare_wrong(name: str, trajectory: Trajectory | None, expected: Expectation) -> Wrong:
    """How far the trajectory of a wrong rule is from the expected one."""
    if trajectory is None:
        return Wrong(name, math.inf, 0.0)
    verdict = judge(expected.trial, expected.trajectory, trajectory, expected.limits)
    return Wrong(name, verdict.distance, verdict.limit)
