"""Decide whether a rule is what an unknown optimizer computes.

A rule holds if its trajectory stays within the rounding limits on every trial, also on those that
did not propose it. Where the plain rule fails, the known deviations of the framework are tried.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.compare.allowed import of_rule
from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.limits import SAFETY
from samestep.parity.measure.verdict import Verdict
from samestep.parity.runners import numpy as in_numpy
from samestep.reference import Rule

from .interpretations import Interpretation, imitate, in_dtype, interpretations
from .observe import Observation

CLOSE = 1e3  # limits: a rule farther off on the probes is not judged on the other trials
UNJUDGED = Verdict(False, np.inf, 0.0, 1, 0, (np.nan, np.nan))  # of a rule without usable limits

Bounds = dict[str, np.ndarray]  # by tensor, (steps, *shape)


class TrialResult(NamedTuple):
    """A rule compared with one observation: the verdict of the tensor closest to its limit."""

    verdict: Verdict
    tensor: str
    equal_bits: bool
    dtype: str
    steps: int

    @property
    def holds(self) -> bool:
        """True if the optimizer stays within the rule's limits."""
        return self.verdict.holds

    @property
    def excess(self) -> float:
        """The distance in limits."""
        if self.verdict.limit:
            return self.verdict.distance / self.verdict.limit
        return np.inf if self.verdict.distance else 0.0


def compare_on_trial(
    interpretation: Interpretation, observation: Observation, bounds: Bounds | None = None
) -> TrialResult:
    """Compare the trajectories of a rule and of the optimizer.

    ``bounds`` replace the rule's own rounding bounds.
    """
    trial = observation.trial
    dtype = observation.dtype
    unjudged = TrialResult(UNJUDGED, next(iter(trial.start)), False, dtype, trial.steps)
    try:
        expected = in_numpy.run(interpretation.rule, trial, dtype)
    except ValueError:
        return unjudged
    bounds = bounds or rounding_bounds(interpretation, observation)
    if not _bounds_reject_standing_still(observation, expected.thetas, bounds):
        return unjudged
    actual = observation.trajectory.thetas
    equal_bits = observation.same_bits(expected)
    results = []
    for name, start in trial.start.items():
        verdict = verdicts.compare(start, expected.thetas[name], actual[name], bounds[name])
        results.append(TrialResult(verdict, name, equal_bits, dtype, trial.steps))
    return max(results, key=lambda result: result.excess)


def _bounds_reject_standing_still(
    observation: Observation, thetas: dict[str, np.ndarray], bounds: Bounds
) -> bool:
    """True if the limits would notice an optimizer that never moves.

    From the first move on, the path of some element must be longer than its limit at every step.
    Fitted hyperparameters may be such that rounding could have led anywhere.
    """
    steps = observation.trial.steps
    moved = np.zeros(steps, bool)
    noticed = np.zeros(steps, bool)
    for name, start in observation.trial.start.items():
        with np.errstate(over="ignore", invalid="ignore"):
            moves = np.abs(np.diff(thetas[name], axis=0, prepend=start[None]))
            path = np.cumsum(moves, axis=0).reshape(steps, -1)
            limit = SAFETY * bounds[name].reshape(steps, -1)
            moved |= (path > 0).any(axis=1)
            noticed |= (limit < path).any(axis=1)
    return bool(noticed[moved].all())


def rounding_bounds(interpretation: Interpretation, observation: Observation) -> Bounds:
    """How far rounding can move the rule on the trial.

    Hyperparameters that overflow, as a fit may propose them, have bounds of zero.
    """
    return _bounds_of(interpretation.rule, interpretation.scalars_in, observation)


@functools.lru_cache(maxsize=128)
def _bounds_of(rule: Rule, scalars_in: str, observation: Observation) -> Bounds:
    trial = observation.trial
    dtype = observation.dtype
    try:
        with np.errstate(all="ignore"):
            return of_rule(rule, trial, dtype, scalars_in=scalars_in).thetas
    except ArithmeticError:
        return {name: np.zeros(array.shape) for name, array in trial.gradients.items()}


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A rule, how it was interpreted in each dtype, and its result on each trial.

    ``results`` ends at the first trial on which no interpretation holds. ``fitted`` names the
    hyperparameters that a fit found.
    """

    rule: Rule
    interpretations: dict[str, Interpretation]
    results: list[TrialResult]
    fitted: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """True if the rule holds on every trial."""
        return all(result.holds for result in self.results)

    @property
    def worst(self) -> TrialResult:
        """The result with the largest distance, in limits."""
        return max(self.results, key=lambda result: result.excess)


def judge(
    rule: Rule, dialect: str, observations: Sequence[Observation], fitted: tuple[str, ...] = ()
) -> Judgement:
    """Judge the rule on all observations, up to the first that it fails.

    In each dtype the interpretation that holds on the first trial is used for the others.
    """
    chosen: dict[str, Interpretation] = {}
    results: list[TrialResult] = []
    for observation in observations:
        dtype = observation.dtype
        candidates = [chosen[dtype]] if dtype in chosen else interpretations(rule, dialect, dtype)
        chosen[dtype], result = _best(candidates, observation)
        results.append(result)
        if not result.holds:
            break
    return Judgement(rule, chosen, results, fitted)


def _best(
    candidates: Iterable[Interpretation], observation: Observation
) -> tuple[Interpretation, TrialResult]:
    """The first interpretation that holds, else the nearest."""
    compared = []
    for interpretation in candidates:
        result = compare_on_trial(interpretation, observation)
        compared.append((interpretation, result))
        if result.holds:
            break
    return min(compared, key=lambda pair: pair[1].excess)


def is_close(rule: Rule, dialect: str, observation: Observation, bounds: Bounds) -> bool:
    """True if some interpretation of the rule is within ``CLOSE`` limits on one trial."""
    return any(
        compare_on_trial(interpretation, observation, bounds).excess <= CLOSE
        for interpretation in interpretations(rule, dialect, observation.dtype)
    )


class AcceptedRule:
    """A rule that holds, by whose limits and interpretations other rules are judged."""

    def __init__(self, judgement: Judgement, observations: Sequence[Observation]) -> None:
        self.interpretations = judgement.interpretations
        self.observations = observations
        self.bounds = [
            rounding_bounds(self.interpretations[observation.dtype], observation)
            for observation in observations
        ]

    def allows(self, rule: Rule) -> bool:
        """True if this rule holds on every trial, within the limits of the accepted rule."""
        for observation, bounds in zip(self.observations, self.bounds, strict=True):
            deviation = self.interpretations[observation.dtype].deviation
            plain = in_dtype(rule, observation.dtype)
            interpreted = imitate(plain, deviation) if deviation else plain
            if interpreted is None:
                return False
            if not compare_on_trial(Interpretation(interpreted), observation, bounds).holds:
                return False
        return True
