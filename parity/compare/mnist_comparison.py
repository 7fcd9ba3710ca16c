"""Two optimizers trained on MNIST in lockstep: where the runs first differ, and what the optimizers
make of the same gradients."""

import dataclasses
from collections.abc import Callable

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.parity.measure import trial
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners.specs import OptimizerSpec

from . import mnist_worker
from .answer import Answer, compare
from .comparison import Run
from .difference import Difference, Location, furthest
from .mnist_worker import STAGES, MnistRun

FEWEST = 10  # steps whose gradients are given to both optimizers, at least
MOST = 60  # and at most: they are gradients of all weights

TrainBoth = Callable[[tuple[OptimizerSpec, OptimizerSpec], int, int], tuple[MnistRun, MnistRun]]
"""Trains both for so many steps, and keeps all arrays of one step (0: of none)."""


@dataclasses.dataclass(frozen=True)
class MnistAnswer:
    """What came of comparing two training runs.

    ``homes`` are the frameworks. ``first`` is the first difference in bits of anything but state,
    None if the runs are equal throughout. ``growth`` holds at marks the step and the largest gap of
    two weights, as a share of the farthest that any weight of A's then is from its start.
    ``optimizers`` is the comparison of both optimizers on the gradients that ``gradients_text``
    names: A's, or the designed ones where the runs differ later than ``MOST`` steps.
    """

    steps: int
    homes: tuple[str, str]
    first: Difference | None
    growth: list[tuple[int, float]]
    optimizers: Answer | None = None
    gradients_text: str = ""

    @property
    def same(self) -> bool:
        """True if all bits are equal, or if the optimizers alone part the runs, and by no more than
        rounding.
        """
        if self.first is None:
            return True
        at_optimizer = self.first.stage in ("state", "update")
        return (
            at_optimizer
            and self.optimizers is not None
            and self.optimizers.agreement is not Agreement.DIFFERENT
        )


def train(
    a: OptimizerSpec,
    b: OptimizerSpec,
    steps: int,
    train_both: TrainBoth = mnist_worker.train_both,
    run: Run | None = None,
) -> MnistAnswer:
    """Train both for so many steps; where they differ, train again up to there and look.

    ValueError if one cannot.
    """
    homes = (mnist_worker.home(a), mnist_worker.home(b))
    run_a, run_b = train_both((a, b), steps, 0)
    growth = [
        (step, _gap(run_a.weights[step], run_b.weights[step])) for step in sorted(run_a.weights)
    ]
    # two rules may keep different things
    different = (run_a.digests != run_b.digests) & (np.array(STAGES) != "state")
    if not different.any():
        return MnistAnswer(steps, homes, None, growth)
    step = int(np.argmax(different.any(axis=1))) + 1
    stage = STAGES[int(np.argmax(different[step - 1]))]
    early = step <= MOST
    run_a, run_b = train_both((a, b), max(step, FEWEST) if early else step, step)
    first = locate(run_a, run_b, step, stage)
    given = mnist_worker.trial_of(run_a) if early else trial.designed((a.rule, b.rule))
    answer = compare(a, b, given, run=run)
    source = "A's gradients" if early else "designed ones"
    return MnistAnswer(steps, homes, first, growth, answer, f"{source}, {given.steps} steps")


def locate(run_a: MnistRun, run_b: MnistRun, step: int, stage: str) -> Difference:
    """The difference of the stage in that step; of a state, if one differs before the update
    does.
    """
    if stage == "update" and _states_differ(run_a, run_b):
        stage = "state"
    arrays_a = run_a.details[stage]
    arrays_b = run_b.details[stage]
    names = [name for name in arrays_a if name in arrays_b]
    differences = [
        furthest(Location(step, name, stage), arrays_a[name], arrays_b[name]) for name in names
    ]
    return max(differences, key=lambda difference: difference.ulps)


def _states_differ(run_a: MnistRun, run_b: MnistRun) -> bool:
    states_a = run_a.details["state"]
    states_b = run_b.details["state"]
    return any(
        not np.array_equal(states_a[key], states_b[key])
        for key in states_a.keys() & states_b.keys()
    )


def _gap(weights_a: np.ndarray, weights_b: np.ndarray) -> float:
    start = np.concatenate([weight.ravel() for weight in facts.initial_weights()]).astype(
        np.float64
    )
    path = np.abs(weights_a - start).max() or 1.0
    return float(np.abs(weights_a.astype(np.float64) - weights_b).max() / path)
