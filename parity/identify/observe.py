"""What a black box is asked, whoever runs it."""

from collections.abc import Callable, Sequence

import numpy as np

from samestep.parity.measure.trial import Trial
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult

from . import probes
from .trials import Observation, fresh, long_run

DTYPES = ("float64", "float32")  # the wider first: fits are made in it

Run = Callable[[Contestant, Sequence[tuple[Trial, str]]], list[RunResult]]


def gathered(contestant: Contestant, run: Run, long: bool) -> tuple[str, list[Observation], bool]:
    """Where the box is at home, all trials, and whether it takes tensors that are no matrices.

    What it cannot do, such as double precision or vectors, is left out; ValueError if it can do nothing.
    """
    first: ValueError | None = None
    least = [
        (trial, DTYPES[-1]) for trial in (probes.trial(flat=False), fresh(flat=False))
    ]  # part of all that is asked
    for flat, dtypes in ((True, DTYPES), (True, DTYPES[1:]), (False, DTYPES), (False, DTYPES[1:])):
        asked = [(probes.trial(flat), dtype) for dtype in dtypes]
        asked += [(fresh(flat), dtype) for dtype in dtypes]
        if long:
            asked.append((long_run(flat), dtypes[0]))
        try:
            went = run(contestant, asked)
        except ValueError as error:
            if not first:
                first = error
                _tried(contestant, run, least, first)
            continue
        trials = [Observation(trial, dtype, each.trajectory) for (trial, dtype), each in zip(asked, went, strict=True)]
        return went[0].home, trials, flat
    assert first
    raise first


def _tried(contestant: Contestant, run: Run, least: Sequence[tuple[Trial, str]], first: ValueError) -> None:
    """The first error, if the box cannot do the least either: nothing more need be tried then."""
    try:
        run(contestant, least)
    except ValueError:
        raise first from None


def keeps_its_rate(contestant: Contestant, run: Run, first: Observation) -> bool:
    """Whether the box, whose rate was halved on the way, would have taken the same steps without."""
    trial = first.trial._replace(rate_factors=np.ones_like(first.trial.rate_factors))
    return equal(first, run(contestant, [(trial, first.dtype)])[0])


def equal(trial: Observation, went: RunResult) -> bool:
    """Whether a run of a trial has the same bits."""
    one, other = trial.trajectory.thetas, went.trajectory.thetas
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
