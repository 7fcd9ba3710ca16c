"""Two contestants trained on MNIST in lockstep: where their runs first part, and what their optimizers make of the same
gradients."""

import dataclasses
from collections.abc import Callable

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.parity.measure import trial as trials
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult, ran

from . import training
from .answer import DIFFERS, Answer, compare
from .difference import Difference, furthest
from .training import STAGES, Trained

FEW = 10  # steps whose gradients are given to both, at least
MANY = 60  # and at most: they are of all weights

Both = Callable[[tuple[Contestant, Contestant], int, int], tuple[Trained, Trained]]


@dataclasses.dataclass(frozen=True)
class Training:
    """``first`` is the first difference in bits of anything but what is kept, None if the runs are equal throughout.

    ``growth`` holds at marks the step and the largest gap of two weights, as a share of the farthest that any weight of
    A's then is from its start. ``optimizers`` is the answer of both on ``given``: A's gradients, or the designed ones
    where the runs part later than ``MANY`` steps.
    """

    steps: int
    homes: tuple[str, str]
    first: Difference | None
    growth: list[tuple[int, float]]
    optimizers: Answer | None = None
    given: str = ""

    @property
    def same(self) -> bool:
        """Whether all bits are equal; or the optimizers alone part the runs, and those by no more than rounding."""
        if self.first is None:
            return True
        optimizing = self.first.stage in ("state", "update")
        return optimizing and self.optimizers is not None and self.optimizers.same != DIFFERS


def train(
    a: Contestant, b: Contestant, steps: int, both: Both = training.both,
    run: Callable[[Contestant, trials.Trial, str], RunResult] = ran,
) -> Training:  # fmt: skip
    """Train both for so many steps; where they part, train again up to there and look. ValueError if one cannot."""
    homes = training.home(a), training.home(b)
    one, other = both((a, b), steps, 0)
    growth = [(step, _gap(one.weights[step], other.weights[step])) for step in sorted(one.weights)]
    parts = (one.digests != other.digests) & (np.array(STAGES) != "state")  # two rules may keep different things
    if not parts.any():
        return Training(steps, homes, None, growth)
    at = int(np.argmax(parts.any(axis=1)))
    stage = STAGES[int(np.argmax(parts[at]))]
    early = at < MANY
    one, other = both((a, b), max(at + 1, FEW) if early else at + 1, at + 1)
    first = where(one, other, at + 1, stage)
    given, words = (
        (training.trial(one), "A's gradients") if early else (trials.designed((a.rule, b.rule)), "designed ones")
    )
    answer = compare(a, b, given, run=run)
    return Training(steps, homes, first, growth, answer, f"{words}, {given.steps} steps")


def where(one: Trained, other: Trained, step: int, stage: str) -> Difference:
    """The difference of the stage in that step; in what is kept, if that differs before the update does."""
    if stage == "update":
        kept = one.seen["state"].keys() & other.seen["state"].keys()
        if [name for name in kept if not np.array_equal(one.seen["state"][name], other.seen["state"][name])]:
            stage = "state"
    names = [name for name in one.seen[stage] if name in other.seen[stage]]
    found = [furthest(one.seen[stage][name], other.seen[stage][name], step, name, stage) for name in names]
    return max(found, key=lambda difference: difference.ulps)


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    start = np.concatenate([weight.ravel() for weight in facts.initial_weights()]).astype(np.float64)
    path = np.abs(one - start).max() or 1.0
    return float(np.abs(one.astype(np.float64) - other).max() / path)
