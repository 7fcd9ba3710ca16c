"""Accelerate around our optimizer: accumulation, clipping, saved state."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.mnist_batches import examples
from samestep.parity.tests.support.replay import Recorder
from samestep.parity.tests.support.require import require
from samestep.reference import Adam, Decay, Rule

accelerate = require("accelerate")

pytestmark = [
    pytest.mark.filterwarnings("ignore:::accelerate"),
    pytest.mark.filterwarnings("ignore:::torch"),
]

RULE = Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED)
BATCH, BATCHES = 32, 12


def rule_of(group: dict[str, Any]) -> Rule:
    return RULE


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    """Accelerate keeps its setting in the process."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


class Run:
    """A training run as in Accelerate's tutorial."""

    def __init__(self, accelerator: Any, compiled: bool = False) -> None:
        torch.manual_seed(0)
        self.accelerator = accelerator
        model = torch.nn.Sequential(
            torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
        )
        ours = Optimizer(model.parameters(), RULE, compiled=compiled)
        self.recorder = Recorder(ours, rule_of)
        schedule = torch.optim.lr_scheduler.LinearLR(ours, start_factor=0.1, total_iters=9)
        images, labels = examples(BATCH * BATCHES)
        data = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
        loader = torch.utils.data.DataLoader(data, BATCH)
        prepared = accelerator.prepare(model, ours, loader, schedule)
        self.model, self.optimizer, self.loader, self.scheduler = prepared

    def train(self, limit: float | None = None) -> None:
        """One epoch."""
        for images, labels in self.loader:
            with self.accelerator.accumulate(self.model):
                loss = torch.nn.functional.cross_entropy(self.model(images), labels)
                self.accelerator.backward(loss)
                if limit is not None and self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), limit)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.compiled)])
@pytest.mark.parametrize("limit", [None, 0.1])
@pytest.mark.parametrize(("window", "steps"), [(1, 12), (4, 3), (5, 3)])
def test_accumulated_steps_are_the_rules(
    window: int, steps: int, limit: float | None, compiled: bool
) -> None:
    """In the last case the window at the end is incomplete, and Accelerate steps with it."""
    run = Run(accelerate.Accelerator(cpu=True, gradient_accumulation_steps=window), compiled)
    run.train(limit)
    run.recorder.check(steps)
    assert len(set(run.recorder.rates)) == min(steps, 10)


def test_accumulated_gradients_are_the_mean_of_the_window() -> None:
    """The gradient of a step is that of the four batches, each divided by four."""
    run = Run(accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4))
    first = [p.detach().clone().requires_grad_() for p in run.model.parameters()]
    images, labels = examples(BATCH * 4)
    for start in range(0, BATCH * 4, BATCH):
        x = torch.from_numpy(images[start : start + BATCH])
        y = torch.from_numpy(labels[start : start + BATCH])
        hidden = torch.nn.functional.linear(x, *first[:2]).relu()
        output = torch.nn.functional.linear(hidden, *first[2:])
        (torch.nn.functional.cross_entropy(output, y) / 4).backward()
    run.train()
    for parameter, history in zip(first, run.recorder.histories.values(), strict=True):
        assert torch.equal(parameter.grad, torch.from_numpy(history.steps[0].gradient))


def test_mixed_precision() -> None:
    run = Run(accelerate.Accelerator(cpu=True, mixed_precision="bf16"))
    run.train()
    run.recorder.check(12)


def test_saved_state_goes_on(tmp_path: Path) -> None:
    """A new run that loads the state of the first epoch ends as the unbroken one."""
    unbroken = Run(accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4))
    unbroken.train()
    unbroken.accelerator.save_state(str(tmp_path))
    unbroken.train()
    unbroken.recorder.check(6)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    resumed = Run(accelerate.Accelerator(cpu=True, gradient_accumulation_steps=4))
    resumed.accelerator.load_state(str(tmp_path))
    resumed.train()
    assert resumed.recorder.rates == unbroken.recorder.rates[3:]
    pairs = zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
