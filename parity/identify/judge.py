"""Decide whether a rule is what an unknown optimizer computes.

A rule holds if its trajectory stays within the rounding limits on every trial, also on those that
did not propose it. Where the plain rule fails, the known deviations of the framework are tried.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.limits import SAFETY, Limits, of_rule
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.verdict import Agreement, Verdict
from samestep.parity.natives.interpretations import (
    Interpretation,
    imitate,
    in_dtype,
    interpretations,
)
from samestep.reference import Rule

from .observe import Observation
from .trials import PROBE_STEPS

FEW_STEPS = 6  # steps that show of most rules that they are farther off
CLOSE = 1e3  # limits: a rule farther off on the probes is not judged on the other trials


class TrialResult(NamedTuple):
    """The verdict on a rule on one trial, the dtype, the number of steps that were judged, and the
    number of steps that were taken.
    """

    verdict: Verdict
    dtype: str
    steps: int
    taken: int

    @property
    def holds(self) -> bool:
        """True if the optimizer stays within the rule's limits."""
        return self.verdict.holds


def compare_on_trial(
    interpretation: Interpretation, observation: Observation, limits: Limits | None = None
) -> TrialResult:
    """Compare the trajectories of a rule and of the optimizer, as far as limits are of use.

    On the trial of many steps that may be a part of them, but not fewer than the probes have.

    ``limits`` replace the rule's own rounding limits.
    """
    trial = observation.trial
    try:
        expected = run_rule(interpretation.rule, trial, observation.dtype)
    except ValueError:
        return _unjudged(observation)
    limits = limits or rounding_limits(interpretation, observation)
    steps = _steps_with_useful_limits(observation, expected, limits)
    if steps < min(trial.steps, PROBE_STEPS):
        return _unjudged(observation)
    verdict = verdicts.judge(
        trial,
        _first_steps(expected, steps),
        _first_steps(observation.trajectory, steps),
        _first_limits(limits, steps),
    )
    return TrialResult(verdict, observation.dtype, steps, trial.steps)


def _first_steps(trajectory: Trajectory, steps: int) -> Trajectory:
    thetas = {name: theta[:steps] for name, theta in trajectory.thetas.items()}
    return trajectory._replace(thetas=thetas)


def _first_limits(limits: Limits, steps: int) -> Limits:
    return Limits({name: limit[:steps] for name, limit in limits.thetas.items()}, {})


def _unjudged(observation: Observation) -> TrialResult:
    """The result of a rule that cannot take a step, or whose limits are of no use."""
    trial = observation.trial
    tensor = next(iter(trial.start))
    unknown = (np.nan, np.nan)
    verdict = Verdict(Agreement.DIFFERENT, np.inf, 0.0, 1, 0, unknown, tensor)
    return TrialResult(verdict, observation.dtype, trial.steps, trial.steps)


def _steps_with_useful_limits(
    observation: Observation, expected: Trajectory, limits: Limits
) -> int:
    """The number of first steps in which the limits could convict an optimizer that strays.

    In the first ``PROBE_STEPS`` steps they must notice an optimizer that never moves: from the
    first move on, the path of some element must be longer than its limit. Fitted hyperparameters
    may be such that it never is. In a long run rounding grows, and may at last lead anywhere. There
    the limits must notice, in at least half of the elements that move, an optimizer that stays
    where it was ``PROBE_STEPS`` steps ago.
    """
    steps = observation.trial.steps
    moving = np.zeros(steps, int)
    noticed = np.zeros(steps, int)
    for name, start in observation.trial.start.items():
        with np.errstate(over="ignore", invalid="ignore"):
            moves = np.abs(np.diff(expected.thetas[name], axis=0, prepend=start[None]))
            path = np.cumsum(moves, axis=0).reshape(steps, -1)
            lately = path.copy()
            lately[PROBE_STEPS:] -= path[:-PROBE_STEPS]
            limit = SAFETY * limits.thetas[name].reshape(steps, -1)
            moving += (lately > 0).sum(axis=1)
            noticed += (limit < lately).sum(axis=1)
    late = np.arange(steps) >= PROBE_STEPS
    enough = np.where(late, 2 * noticed >= moving, noticed > 0)
    unnoticed = np.flatnonzero((moving > 0) & ~enough)
    return int(unnoticed[0]) if len(unnoticed) else steps


def rounding_limits(interpretation: Interpretation, observation: Observation) -> Limits:
    """How far rounding can move the rule on the trial.

    Hyperparameters that overflow, as a fit may propose them, have limits of zero.
    """
    trial = observation.trial
    rule = interpretation.rule
    try:
        with np.errstate(all="ignore"):
            return of_rule(rule, trial, observation.dtype, interpretation.scalars_in)
    except ArithmeticError:
        zeros = {name: np.zeros(array.shape) for name, array in trial.gradients.items()}
        return Limits(zeros, {name: {} for name in zeros})


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
        return max(self.results, key=lambda result: result.verdict.excess)


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
    return min(compared, key=lambda pair: pair[1].verdict.excess)


def is_close(rule: Rule, dialect: str, observation: Observation, limits: Limits) -> bool:
    """True if some interpretation of the rule is within ``CLOSE`` limits on one trial.

    The first steps are compared alone at first: what is farther off there is so on the whole trial.
    """
    begin = _begin(observation)
    limits_of_begin = _first_limits(limits, begin.trial.steps)
    return any(
        compare_on_trial(interpretation, begin, limits_of_begin).verdict.excess <= CLOSE
        and compare_on_trial(interpretation, observation, limits).verdict.excess <= CLOSE
        for interpretation in interpretations(rule, dialect, observation.dtype)
    )


@functools.lru_cache(maxsize=8)
def _begin(observation: Observation) -> Observation:
    """The first steps of an observation."""
    trial = observation.trial.first(FEW_STEPS)
    return Observation(trial, observation.dtype, _first_steps(observation.trajectory, trial.steps))


class AcceptedRule:
    """A rule that holds, by whose limits and interpretations other rules are judged."""

    def __init__(self, judgement: Judgement, observations: Sequence[Observation]) -> None:
        self.interpretations = judgement.interpretations
        self.observations = observations
        self.limits = [
            rounding_limits(self.interpretations[observation.dtype], observation)
            for observation in observations
        ]

    def allows(self, rule: Rule) -> bool:
        """True if this rule holds on every trial, within the limits of the accepted rule."""
        for observation, limits in zip(self.observations, self.limits, strict=True):
            deviation = self.interpretations[observation.dtype].deviation
            plain = in_dtype(rule, observation.dtype)
            interpreted = imitate(plain, deviation) if deviation else plain
            if interpreted is None:
                return False
            if not compare_on_trial(Interpretation(interpreted), observation, limits).holds:
                return False
        return True
