"""``samestep compare --mnist``: the step and stage where two training runs part, wherever the fault
is planted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import samestep.frameworks.numpy.model
from samestep.frameworks.experiment import facts
from samestep.parity.compare import mnist_comparison, mnist_worker
from samestep.parity.compare.mnist_comparison import MnistAnswer
from samestep.parity.compare.mnist_worker import MnistRun
from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import specs, worker
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import OptimizerSpec

ADAM, STEPS = "Adam(lr=0.001)", 3


def train_here(
    pair: tuple[OptimizerSpec, OptimizerSpec], steps: int, keep: int
) -> tuple[MnistRun, MnistRun]:
    """Train both in this process."""
    return mnist_worker.train(pair[0], steps, keep), mnist_worker.train(pair[1], steps, keep)


def run_here(spec: OptimizerSpec, jobs: Sequence[tuple[Trial, Job]]) -> list[RunResult]:
    """Run an optimizer in this process."""
    return [worker.run_here(spec, trial, job) for trial, job in jobs]


def compared(a: str, b: str, steps: int = STEPS) -> MnistAnswer:
    """The answer of training both."""
    return mnist_comparison.train(specs.read(a), specs.read(b), steps, train_here, run_here)


def test_three_frameworks_have_equal_bits_at_every_stage() -> None:
    """NumPy against each of the others."""
    for framework in ("pytorch", "tensorflow"):
        found = compared(ADAM, f"adapter:{framework}:{ADAM}")
        assert (found.same, found.first, found.optimizers) == (True, None, None)
        assert [gap for _, gap in found.growth] == [0.0, 0.0, 0.0]


def test_runs_that_rounding_parts_are_the_same() -> None:
    """torch's own Adam rounds otherwise; its weights have other bits, and its steps stay within the
    limit.
    """
    found = compared(f"pytorch:{ADAM}", f"native:pytorch:{ADAM}")
    assert found.first
    assert found.optimizers
    assert (found.same, found.optimizers.agreement) == (True, Agreement.WITHIN_ROUNDING)


def test_another_rule_parts_at_the_update() -> None:
    """Adam with epsilon in two places, trained in two frameworks: data, losses and gradients of
    step 1 are equal.
    """
    found = compared(f"pytorch:{ADAM}", "keras:Adam(learning_rate=0.001)")
    assert found.first
    assert (found.same, found.first.step, found.first.stage) == (False, 1, "update")
    assert found.optimizers
    assert found.optimizers.causes[-1].text.count("instead of") == 2


def altered(change: Callable[[list[Any]], list[Any]]) -> Callable[..., Any]:
    """NumPy's gradients, changed."""
    right = samestep.frameworks.numpy.model.loss_and_gradients

    def wrong(*given: Any) -> Any:
        loss, gradients = right(*given)
        return loss, change(gradients)

    return wrong


def test_a_wrong_backward_pass_is_the_gradients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """One element of one gradient is an ulp of float32 off; on equal gradients the optimizers
    agree.
    """

    def change(gradients: list[Any]) -> list[Any]:
        gradients[3][7] *= 1 + 2.0**-23
        return gradients

    monkeypatch.setattr(samestep.frameworks.numpy.model, "loss_and_gradients", altered(change))
    found = compared(f"adapter:pytorch:{ADAM}", ADAM)
    assert found.first
    assert (found.same, found.first.step, found.first.stage) == (False, 1, "gradient")
    assert (found.first.tensor, found.first.element) == ("output bias", (7,))
    assert found.optimizers
    assert found.optimizers.agreement is Agreement.EQUAL_BITS


def test_a_wrong_forward_pass_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits that are shifted: the gradient stays what it was."""
    right = samestep.frameworks.numpy.model.forward

    def wrong(*given: Any) -> Any:
        *others, logits = right(*given)
        return [*others, logits + 1]

    monkeypatch.setattr(samestep.frameworks.numpy.model, "forward", wrong)
    found = compared(f"adapter:pytorch:{ADAM}", ADAM)
    assert found.first
    assert (found.same, found.first.step, found.first.stage) == (False, 1, "forward")


def test_other_data_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy is given the second batch twice."""
    drawn = facts.batches

    def again(
        pair: tuple[OptimizerSpec, OptimizerSpec], steps: int, keep: int
    ) -> tuple[MnistRun, MnistRun]:
        first = mnist_worker.train(pair[0], steps, keep)
        with monkeypatch.context() as patch:
            patch.setattr(facts, "batches", lambda epoch, size: twice(drawn(epoch, size)))
            return first, mnist_worker.train(pair[1], steps, keep)

    def twice(batches: Any) -> Any:
        for number, batch in enumerate(batches, start=1):
            yield batch
            if number == 2:
                yield batch

    pair = (specs.read(f"adapter:pytorch:{ADAM}"), specs.read(ADAM))
    found = mnist_comparison.train(*pair, STEPS, again, run_here)
    assert found.first
    assert (found.same, found.first.step, found.first.stage) == (False, 3, "data")


def test_what_cannot_be_trained_is_refused() -> None:
    """Natives of other libraries."""
    with pytest.raises(ValueError, match="cannot be trained here"):
        compared(ADAM, "native:optax:adam(learning_rate=0.001)")


def test_a_kept_step_is_not_overwritten_by_later_ones() -> None:
    """torch changes its arrays in place: what is kept of step 1 is as if training had ended
    there.
    """
    for text in (ADAM, f"adapter:pytorch:{ADAM}"):
        short, longer = (mnist_worker.train(specs.read(text), steps, 1).details for steps in (1, 3))
        for stage, arrays in short.items():
            for name, array in arrays.items():
                assert np.array_equal(array, longer[stage][name]), f"{text}: {stage} {name}"
