"""The judge of hypotheses: the first that has the optimizer's trajectory is its explanation."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from samestep.parity.measure.limits import Limits
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import judge, measure_gaps

from .hypotheses import Hypothesis


class Observed(NamedTuple):
    """An optimizer's trajectory on a trial, in a dtype, with the trajectory that was expected and
    its limits.
    """

    trial: Trial
    dtype: str
    expected: Trajectory
    limits: Limits
    actual: Trajectory


class Explanation(NamedTuple):
    """A hypothesis, its distance to the optimizer as a share of the path, and whether it has the
    same trajectory.
    """

    hypothesis: Hypothesis
    distance: float
    holds: bool


def explain(observed: Observed, hypotheses: Iterable[Hypothesis]) -> Explanation | None:
    """The first hypothesis that has the optimizer's trajectory; else the nearest; None if there is
    none at all.
    """
    beyond = elements_beyond(observed.expected, observed.actual, observed.limits)
    first_step = int(np.argmax(beyond > 0))
    nearest: Explanation | None = None
    least = np.inf
    for hypothesis in hypotheses:
        try:
            trajectory = hypothesis.run(observed.dtype)
        except (ValueError, ArithmeticError):  # so wrong that it cannot take the steps
            continue
        left = elements_beyond(trajectory, observed.actual, observed.limits)[first_step]
        if 2 * left <= beyond[first_step] and hypothesis.has_trajectory(
            observed.actual, observed.dtype
        ):
            return Explanation(hypothesis, 0.0, True)
        verdict = judge(observed.trial, trajectory, observed.actual, observed.limits)
        if verdict.excess < least:
            least = verdict.excess
            nearest = Explanation(hypothesis, verdict.distance, False)
    return nearest


def elements_beyond(expected: Trajectory, actual: Trajectory, limits: Limits) -> np.ndarray:
    """How many elements of all tensors are beyond their limits after each step, (steps,)."""
    counts = []
    for name, bound in limits.thetas.items():
        gaps = measure_gaps(
            expected.thetas[name].astype(np.float64), actual.thetas[name].astype(np.float64), bound
        )
        counts.append((gaps.excess > 1).reshape(len(bound), -1).sum(axis=1))
    return np.asarray(np.sum(counts, axis=0))
