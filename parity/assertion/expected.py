"""What a user's optimizer is compared with: a rule, or another optimizer; and the limits that
follow from either.

The limits of a rule are derived. Of another optimizer nobody knows the formula, so the limits
between the two are measured. Either must reject what is wrong on purpose.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from samestep.parity.measure import limits, streams
from samestep.parity.measure.disturbance import DISTURBANCES, Job, jobs
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.nearest_wrong import (
    STEPS,
    Expectation,
    Wrong,
    compare_wrong,
    run_wrong,
)
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial, accepted_by, designed_for_unknown, of_streams
from samestep.parity.measure.verdict import by_tensor
from samestep.parity.measure.wrong_rules import wrong_rules
from samestep.parity.runners.factories import OptimizerFactory
from samestep.parity.runners.result import RunOptions
from samestep.reference import Rule

__all__ = ["DISTURBANCES", "ByOptimizer", "ByRule", "Expected", "nearest_wrong"]


class Expected(Protocol):
    """What is expected of the user's optimizer, on which trial."""

    name: str
    trial: Trial
    rule: Rule | None

    @property
    def factories(self) -> Sequence[OptimizerFactory]:
        """The optimizers that it needs to run."""
        ...

    def trajectory(self, dtype: str) -> Trajectory:
        """The expected trajectory."""
        ...

    def limits(self, dtype: str) -> Limits:
        """How far rounding can part the user's optimizer from it."""
        ...

    def wrong(self, dtype: str) -> list[Wrong]:
        """What is wrong on purpose, and how far it is from what is expected, tensor by tensor."""
        ...


def nearest_wrong(expected: Expected, dtypes: Sequence[str]) -> Wrong | None:
    """The wrong one that the limits reject by the least, each in the dtype and on the tensor that
    tell it best.
    """
    best: dict[str, Wrong] = {}
    for dtype in dtypes:
        for wrong in expected.wrong(dtype):
            if wrong.distance and (
                wrong.name not in best or best[wrong.name].excess < wrong.excess
            ):
                best[wrong.name] = wrong
    return min(best.values(), key=lambda wrong: wrong.excess, default=None)


class ByRule:
    """A rule in NumPy, on each of the chosen streams, and on the first in every shape."""

    def __init__(self, rule: Rule, streams_chosen: Sequence[str], schedule: bool) -> None:
        self.name = repr(rule)
        self.rule: Rule | None = rule
        self._rule = rule
        in_matrices = rule if isinstance(rule, streams.MATRICES) else None
        whole = accepted_by(rule, of_streams(tuple(streams_chosen), STEPS, in_matrices))
        self.trial = whole.replace(rate_factors=np.array(_rate_factors(schedule)))

    @property
    def factories(self) -> Sequence[OptimizerFactory]:
        """None: a rule runs in NumPy."""
        return ()

    def trajectory(self, dtype: str) -> Trajectory:
        """The rule's trajectory in float64, whatever the dtype."""
        return self._trajectory

    @functools.cached_property
    def _trajectory(self) -> Trajectory:
        return run_rule(self._rule, self.trial, "float64")

    def limits(self, dtype: str) -> Limits:
        """The limits of the rule."""
        return limits.of_rule(self._rule, self.trial, dtype)

    def wrong(self, dtype: str) -> list[Wrong]:
        """The wrong rules, each on the tensor that tells it best."""
        expected = Expectation(self.trial, self._trajectory, self.limits(dtype))
        return [
            compare_wrong(name, trajectory, expected)
            for name, trajectory in self._wrong_trajectories.items()
        ]

    @functools.cached_property
    def _wrong_trajectories(self) -> dict[str, Trajectory | None]:
        kinds = wrong_rules(type(self._rule).__name__)
        return {
            name: run_wrong(kind(**self._rule.to_dict()), self.trial)
            for name, kind in kinds.items()
        }


class ByOptimizer:
    """Another optimizer, on each of the chosen streams, and on the first in every shape."""

    def __init__(
        self,
        mine: OptimizerFactory,
        expected: OptimizerFactory,
        streams_chosen: Sequence[str],
        schedule: bool,
    ) -> None:
        self.name = expected.name
        self.rule: Rule | None = None
        self._mine = mine
        self._expected = expected
        whole = designed_for_unknown(STEPS, streams_chosen)
        self.trial = whole.replace(rate_factors=np.array(_rate_factors(schedule)))
        self._runs = functools.cache(self._run_jobs)

    @property
    def factories(self) -> Sequence[OptimizerFactory]:
        """The expected optimizer."""
        return (self._expected,)

    def _run_jobs(self, factory: OptimizerFactory, dtype: str) -> list[Trajectory]:
        """The plain trajectory of an optimizer, then the disturbed ones."""
        return [self._run(factory, job, self.trial) for job in jobs(dtype)]

    def _run(self, factory: OptimizerFactory, job: Job, trial: Trial) -> Trajectory:
        return factory.run(trial, job.dtype, RunOptions(factory.modes[0], job.disturb())).trajectory

    def trajectory(self, dtype: str) -> Trajectory:
        """The trajectory of the expected optimizer."""
        return self._runs(self._expected, dtype)[0]

    def limits(self, dtype: str) -> Limits:
        """The measured limits between the two, as ``samestep compare`` has them."""
        plain_mine, *disturbed_mine = self._runs(self._mine, dtype)
        plain, *disturbed = self._runs(self._expected, dtype)
        return limits.between_unknown((plain_mine, disturbed_mine), (plain, disturbed))

    def wrong(self, dtype: str) -> list[Wrong]:
        """The expected optimizer on changed input, tensor by tensor."""
        compared = []
        for name, change in CHANGED_INPUT.items():
            actual = self._run(self._expected, Job(dtype), change(self.trial))
            verdicts = by_tensor(self.trial, self.trajectory(dtype), actual, self.limits(dtype))
            compared += [Wrong(name, verdict.distance, verdict.limit) for verdict in verdicts]
        return compared


def _rate_factors(schedule: bool) -> list[float]:
    return streams.rates(1.0, STEPS) if schedule else [1.0] * STEPS


def _previous_gradients(trial: Trial) -> Trial:
    """Each step has the gradient of the step before, the first its own."""
    taken = np.maximum(np.arange(trial.steps) - 1, 0)
    return trial.replace(gradients={name: array[taken] for name, array in trial.gradients.items()})


def _coarse_gradients(trial: Trial) -> Trial:
    """Gradients rounded to 16 binary digits."""
    return trial.replace(
        gradients={name: _coarse(array) for name, array in trial.gradients.items()}
    )


def _coarse(gradients: np.ndarray) -> np.ndarray:
    fraction, exponent = np.frexp(gradients)
    return np.ldexp(np.rint(np.ldexp(fraction, 16)), exponent - 16)


def _higher_rate(trial: Trial) -> Trial:
    return trial.replace(rate_factors=trial.rate_factors * 1.001)


# what is wrong with any optimizer, its formula unknown
CHANGED_INPUT: dict[str, Callable[[Trial], Trial]] = {
    "the gradient is that of the step before": _previous_gradients,
    "the gradient has 16 digits of binary": _coarse_gradients,
    "the learning rate is a thousandth too high": _higher_rate,
}
