"""Lightning's Trainer with our optimizer: automatic and manual optimization."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.mnist_batches import examples
from samestep.parity.tests.support.replay import Recorder
from samestep.parity.tests.support.require import require
from samestep.reference import Adam, Decay, Rule

L: Any = require("lightning")

pytestmark = [  # Lightning's own advice about workers, loggers and devices, and its dependencies'
    pytest.mark.filterwarnings("ignore:::lightning"),
    pytest.mark.filterwarnings("ignore:::torch"),
]

RULE = Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED)
BATCH = 32


class Digits(L.LightningModule):
    """The module that a user would write; ``recorders`` sees the optimizers that it makes."""

    def __init__(self, compiled: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(784, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
        )
        self.compiled_steps = compiled
        self.recorder: Recorder | None = None
        self.norms: list[float] = []

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.net(images), labels)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        squares = [float((p.grad**2).sum()) for p in self.parameters()]
        self.norms.append(float(np.sqrt(sum(squares))))

    def configure_optimizers(self) -> Any:
        optimizer = Optimizer(self.parameters(), RULE, compiled=self.compiled_steps)
        if self.recorder is None:
            self.recorder = Recorder(optimizer, lambda group: RULE)
        else:
            self.recorder.follow(optimizer)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.01, total_steps=40, cycle_momentum=False
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def loader(batches: int) -> Any:
    images, labels = examples(batches * BATCH)
    data = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    return torch.utils.data.DataLoader(data, BATCH)


def trainer(folder: Path, **options: Any) -> Any:
    return L.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        **options,
    )


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.compiled)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_clip_val": 0.1},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"accumulate_grad_batches": 4},
        {"precision": "bf16-mixed"},
        {"precision": "bf16-true"},
        {"precision": "64-true"},
    ],
    ids=str,
)
def test_trainer_takes_the_rules_steps(
    options: dict[str, Any], compiled: bool, tmp_path: Path
) -> None:
    model = Digits(compiled)
    trainer(tmp_path, max_epochs=2, **options).fit(model, loader(10))
    steps = 6 if "accumulate_grad_batches" in options else 20  # the last window is incomplete
    assert model.recorder is not None
    model.recorder.check(steps)
    assert len(set(model.recorder.rates)) == steps
    assert len(model.norms) == steps


def test_training_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    """A new module, trainer and optimizer go on with the rule's own steps."""
    first = Digits()
    before = trainer(tmp_path, max_epochs=1)
    before.fit(first, loader(10))
    before.save_checkpoint(tmp_path / "middle.ckpt")
    second = Digits()
    trainer(tmp_path, max_epochs=2).fit(
        second, loader(10), ckpt_path=tmp_path / "middle.ckpt", weights_only=True
    )
    unbroken = Digits()
    trainer(tmp_path, max_epochs=2).fit(unbroken, loader(10))
    assert unbroken.recorder is not None
    unbroken.recorder.check(20)
    for resumed, whole in zip(second.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(resumed, whole)


class ManualDigits(Digits):
    """Manual optimization with an optimizer for each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recorders: list[Recorder] = []

    def training_step(self, batch: Any, index: int) -> None:
        loss = super().training_step(batch, index)
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self) -> Any:
        layers = self.net[0], self.net[2]
        optimizers = [Optimizer(layer.parameters(), RULE) for layer in layers]
        self.recorders = [Recorder(optimizer, rule_of) for optimizer in optimizers]
        return optimizers


def rule_of(group: dict[str, Any]) -> Rule:
    return RULE


def test_manual_optimization_of_two_optimizers(tmp_path: Path) -> None:
    model = ManualDigits()
    trainer(tmp_path, max_epochs=1).fit(model, loader(10))
    for recorder in model.recorders:
        recorder.check(10)


def test_stochastic_weight_averaging(tmp_path: Path) -> None:
    """Lightning's callback lowers the rate from the second epoch on; the steps are the rule's."""
    model = Digits()
    callback = L.pytorch.callbacks.StochasticWeightAveraging(swa_lrs=1e-4, swa_epoch_start=1)
    ends: list[list[np.ndarray]] = []

    class Watch(L.pytorch.callbacks.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            ends.append([p.detach().numpy().copy() for p in module.parameters()])

    trainer(tmp_path, max_epochs=3, callbacks=[callback, Watch()]).fit(model, loader(5))
    assert model.recorder is not None
    histories = model.recorder.histories.values()
    assert len(model.recorder.rates) == 15
    assert min(model.recorder.rates[5:]) < model.recorder.rates[4]
    for index, history in enumerate(histories):
        expected = history.replay()
        for step in range(15):
            np.testing.assert_array_equal(expected[step], ends[step][index])
