"""Trials and trajectories of one tensor, for tests that look at nothing else."""

from collections.abc import Sequence

import numpy as np

from samestep.parity.measure import limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.parity.measure.verdict import Verdict, judge
from samestep.reference import Rule

NAME = "theta"


def trial_of(
    start: np.ndarray, gradients: np.ndarray, factors: Sequence[float] | None = None
) -> Trial:
    """A trial of one tensor; ``factors`` multiply the learning rate, else it stays."""
    return of_arrays(
        {NAME: start}, {NAME: gradients}, [1.0] * len(gradients) if factors is None else factors
    )


def trajectory_of(trial: Trial, thetas: np.ndarray) -> Trajectory:
    """The trajectory of the trial's one tensor, without state."""
    (name,) = trial.start
    return Trajectory(dict(trial.start), {name: thetas}, {name: {}})


def only(trajectory: Trajectory) -> np.ndarray:
    """The one tensor's values after each step, (steps, *shape)."""
    (thetas,) = trajectory.thetas.values()
    return thetas


def verdict_on(rule: Rule, trial: Trial, actual: Trajectory, dtype: str) -> Verdict:
    """The verdict on a trajectory that should be the rule's."""
    return judge(
        trial, run_rule(rule, trial, "float64"), actual, limits.of_rule(rule, trial, dtype)
    )
