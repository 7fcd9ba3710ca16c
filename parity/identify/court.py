"""The only judge: does a rule go where the box went, within what rounding allows, on gradients that proposed nothing?

A known deviation of the box's framework is tried where the plain rule does not hold.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from samestep.parity.compare.allowed import of_rule

from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.limits import SAFETY
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.reference import Rule

from .readings import Reading, as_in, imitated, readings
from .trials import Observation

WORTH = 1e3  # limits: a proposal farther off in the first trial is not judged
NEVER = verdicts.Verdict(False, np.inf, 0.0, 1, 0, (np.nan, np.nan))  # of a rule that cannot be judged


class Held(NamedTuple):
    """A rule held to a trial: the verdict of the tensor closest to its limit, and whether all bits are equal."""

    verdict: verdicts.Verdict
    tensor: str
    dtype: str
    bits: bool
    steps: int

    @property
    def excess(self) -> float:
        """How many limits away."""
        return self.verdict.distance / self.verdict.limit if self.verdict.limit else np.inf * self.verdict.distance


def held(reading: Reading, observation: Observation, allowed: dict[str, np.ndarray] | None = None) -> Held:
    """The reading's steps against the box's; ``allowed`` are bounds known from before."""
    trial, dtype, trajectory = observation.trial, observation.dtype, observation.trajectory
    try:
        went = in_numpy.run(reading.rule, trial, dtype)
    except ValueError:
        return Held(NEVER, next(iter(trial.start)), dtype, False, trial.steps)
    bounds = allowed or bound(reading, observation)
    if not _telling(trial, went.thetas, bounds):
        return Held(NEVER, next(iter(trial.start)), dtype, False, trial.steps)
    by_tensor = {
        name: verdicts.compare(trial.start[name], went.thetas[name], trajectory.thetas[name], bounds[name])
        for name in trial.start
    }
    bits = all(np.array_equal(went.thetas[k], trajectory.thetas[k], equal_nan=True) for k in trial.start)
    found = [Held(verdict, name, dtype, bits, trial.steps) for name, verdict in by_tensor.items()]
    return max(found, key=lambda one: one.excess)


def _telling(trial: Trial, thetas: dict[str, np.ndarray], bounds: dict[str, np.ndarray]) -> bool:
    """Whether limits are worth the name: at every step, from the first move on, an element that stood still from the
    start would be noticed. Fitted numbers may be such that rounding could have led anywhere."""
    moved, noticed = np.zeros(trial.steps, bool), np.zeros(trial.steps, bool)
    for name, start in trial.start.items():
        with np.errstate(over="ignore", invalid="ignore"):
            path = np.cumsum(np.abs(np.diff(thetas[name], axis=0, prepend=start[None])), axis=0).reshape(
                trial.steps, -1
            )
            moved |= (path > 0).any(axis=1)
            noticed |= (SAFETY * bounds[name].reshape(path.shape) < path).any(axis=1)
    return bool(noticed[moved].all())


def bound(reading: Reading, trial: Observation) -> dict[str, np.ndarray]:
    """How far rounding can move the reading on the trial."""
    return _bound(reading.rule, reading.scalars_in, trial)


@functools.lru_cache(maxsize=128)
def _bound(rule: Rule, scalars_in: str, trial: Observation) -> dict[str, np.ndarray]:
    """Numbers that overflow, as fits may propose them, allow nothing."""
    try:
        with np.errstate(all="ignore"):
            return of_rule(rule, trial.trial, trial.dtype, scalars_in=scalars_in).thetas
    except ArithmeticError:
        return {name: np.zeros(array.shape) for name, array in trial.trial.gradients.items()}


class Ruling(NamedTuple):
    """A rule, how it is taken in each dtype, how it was held to each trial, and which of its numbers were fitted."""

    rule: Rule
    readings: dict[str, Reading]
    held: list[Held]
    names: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it goes the box's way throughout."""
        return all(one.verdict.holds for one in self.held)

    @property
    def worst(self) -> Held:
        """Where it comes closest to its limit, or is farthest beyond."""
        return max(self.held, key=lambda one: one.excess)


def judge(rule: Rule, dialect: str, trials: Sequence[Observation]) -> Ruling:
    """The rule on all trials, or up to the first that no reading of it survives."""
    taken: dict[str, Reading] = {}
    found: list[Held] = []
    for trial in trials:
        told = (
            [taken[trial.dtype]]
            if trial.dtype in taken
            else list(readings(as_in(rule, trial.dtype), dialect, trial.dtype))
        )
        tried = []
        for reading in told:
            tried.append((held(reading, trial), reading))
            if tried[-1][0].verdict.holds:
                break
        best, taken[trial.dtype] = min(tried, key=lambda pair: pair[0].excess)
        found.append(best)
        if not best.verdict.holds:
            break
    return Ruling(rule, taken, found)


class Standard(NamedTuple):
    """What a rule that holds allows others: its own bounds on every trial, and its readings."""

    trials: Sequence[Observation]
    bounds: list[dict[str, np.ndarray]]
    readings: dict[str, Reading]

    def holds(self, other: Rule) -> bool:
        """Whether another rule, taken in the same way, goes the box's way as well."""
        for trial, bounds in zip(self.trials, self.bounds, strict=True):
            deviation, told = self.readings[trial.dtype].deviation, as_in(other, trial.dtype)
            taken = imitated(told, deviation) if deviation else told
            if not taken or not held(Reading(taken), trial, bounds).verdict.holds:
                return False
        return True


def standard(ruling: Ruling, trials: Sequence[Observation]) -> Standard:
    """The standard that a rule which holds sets."""
    return Standard(trials, [bound(ruling.readings[trial.dtype], trial) for trial in trials], ruling.readings)


def near(rule: Rule, dialect: str, trial: Observation, bounds: dict[str, np.ndarray]) -> bool:
    """Whether some reading of the rule comes so near to one trial that it is worth a judgement."""
    told = readings(as_in(rule, trial.dtype), dialect, trial.dtype)
    return any(held(reading, trial, bounds).excess <= WORTH for reading in told)
