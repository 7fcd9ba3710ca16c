"""Run the unknown optimizer on the trials and collect what it does."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import OptimizerSpec

from .trials import confirmation, long_run, probes

DTYPES = ("float64", "float32")  # the wider first: hyperparameters are fitted in it
DIALECTS = {"tensorflow": "keras"}  # the dialect of a framework's users, where its name differs

Request = tuple[Trial, Job]
Run = Callable[[OptimizerSpec, Sequence[Request]], list[RunResult]]


@dataclasses.dataclass(frozen=True, eq=False)
class Observation:
    """The trajectory of the unknown optimizer on a trial in a dtype.

    Compared by identity, so that cached limits can be looked up.
    """

    trial: Trial
    dtype: str
    trajectory: Trajectory

    def same_bits(self, second: Trajectory) -> bool:
        """True if every tensor has the same bits after every step of both trajectories."""
        return all(
            np.array_equal(thetas, second.thetas[name], equal_nan=True)
            for name, thetas in self.trajectory.thetas.items()
        )


@dataclasses.dataclass(frozen=True)
class BlackBox:
    """An optimizer of which only the steps are looked at, and the function that runs it."""

    spec: OptimizerSpec
    run: Run

    def trajectory(self, trial: Trial, dtype: str) -> Trajectory:
        """The trajectory of the optimizer on one trial."""
        return self.run(self.spec, [(trial, Job(dtype))])[0].trajectory


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """All that was observed of an unknown optimizer, the probes in the widest dtype first.

    ``home`` is its framework, ``rate`` the learning rate that it starts with, None if it has none
    that can be set. ``takes_vectors`` is False if it refuses all tensors but matrices.
    """

    box: BlackBox
    home: str
    observations: list[Observation]
    takes_vectors: bool
    rate: float | None = None

    @property
    def dialect(self) -> str:
        """The dialect in which users of the optimizer's framework write."""
        return DIALECTS.get(self.home, self.home)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that the optimizer can run in, the widest first."""
        return tuple(dict.fromkeys(observation.dtype for observation in self.observations))

    def ignores_learning_rate(self) -> bool:
        """True if the probes give the same bits where their learning rate is not halved."""
        first = self.observations[0]
        constant = np.ones_like(first.trial.rate_factors)
        unchanged = first.trial.replace(rate_factors=constant)
        return first.same_bits(self.box.trajectory(unchanged, first.dtype))


def gather(box: BlackBox, long: bool) -> Evidence:
    """Run the optimizer on all trials, and on the one of many steps if ``long``.

    If that fails, double precision, vectors, or both are left out. ValueError, that of the first
    failure, if the optimizer cannot run on matrices in float32 either.
    """
    failure: ValueError | None = None
    for vectors, dtypes in (
        (True, DTYPES),
        (True, DTYPES[1:]),
        (False, DTYPES),
        (False, DTYPES[1:]),
    ):
        requests = _requests(vectors, dtypes)
        if long:
            requests.append((long_run(vectors), Job(dtypes[0])))
        try:
            results = box.run(box.spec, requests)
        except ValueError as error:
            if failure is None:
                failure = error
                _check_that_it_can_run(box, failure)
            continue
        observations = [
            Observation(trial, job.dtype, result.trajectory)
            for (trial, job), result in zip(requests, results, strict=True)
        ]
        first = results[0]
        return Evidence(box, first.home, observations, vectors, first.rate)
    raise failure or ValueError(f"{box.spec.text} could not run on any trial")


def _requests(vectors: bool, dtypes: Sequence[str]) -> list[Request]:
    trials = (probes(vectors), confirmation(vectors))
    jobs = [Job(dtype) for dtype in dtypes]
    return list(itertools.product(trials, jobs))


def _check_that_it_can_run(box: BlackBox, failure: ValueError) -> None:
    """Raise the failure again if the smallest set of trials fails too: then no other will work."""
    try:
        box.run(box.spec, _requests(vectors=False, dtypes=DTYPES[-1:]))
    except ValueError:
        raise failure from None
