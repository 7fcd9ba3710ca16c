"""Hugging Face's Trainer with our optimizer, on a small BERT with random weights."""

from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.replay import Recorder
from samestep.parity.tests.support.require import require
from samestep.reference import Adam, Decay, Rule

require("accelerate")  # the Trainer needs it
transformers: Any = require("transformers")

pytestmark = [
    pytest.mark.filterwarnings("ignore:::transformers"),
    pytest.mark.filterwarnings("ignore:::torch"),
    pytest.mark.filterwarnings("ignore:::accelerate"),
]

RULE = Adam(lr=1e-3, epsilon=1e-6, weight_decay=0.1, decay=Decay.DECOUPLED)
EXAMPLES, BATCH = 48, 4
STEPS = EXAMPLES // BATCH


def bert() -> Any:
    """A BERT of two small layers, with dropout."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=100,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        num_labels=10,
    )
    return transformers.BertForSequenceClassification(config)


def sentences() -> list[dict[str, Any]]:
    """Random tokens and labels."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 100, (EXAMPLES, 12), generator=generator)
    labels = torch.randint(0, 10, (EXAMPLES,), generator=generator)
    return [{"input_ids": x, "labels": y} for x, y in zip(tokens, labels, strict=True)]


def arguments(folder: Path, **options: Any) -> Any:
    plain = {
        "output_dir": str(folder),
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "dataloader_pin_memory": False,
    }
    return transformers.TrainingArguments(**{**plain, **options})


def rule_of(group: dict[str, Any]) -> Rule:
    """The Trainer gives each group its own weight decay."""
    return RULE.replace(weight_decay=group["weight_decay"])


def native_rates(name: str, lr: float, options: dict[str, Any], steps: int) -> list[float]:
    """The rates of a schedule of transformers on torch's own SGD."""
    native = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = transformers.get_scheduler(name, native, **options)
    rates = []
    for _ in range(steps):
        rates.append(native.param_groups[0]["lr"])
        native.step()
        scheduler.step()
    return rates


SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {"scheduler_specific_kwargs": {"num_cycles": 2}},
    "polynomial": {},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {},
    "cosine_with_min_lr": {"scheduler_specific_kwargs": {"min_lr": 1e-5}},
    "warmup_stable_decay": {"scheduler_specific_kwargs": {"num_decay_steps": 4}},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_trainer_takes_the_rules_steps_with_each_schedule(name: str, tmp_path: Path) -> None:
    """With ``optimizers=(ours, schedule)``."""
    options = {"num_warmup_steps": 3, "num_training_steps": STEPS, **SCHEDULES[name]}
    model = bert()
    optimizer = Optimizer(model.parameters(), RULE)
    recorder = Recorder(optimizer, rule_of)
    scheduler = transformers.get_scheduler(name, optimizer, **options)
    trainer = transformers.Trainer(
        model, arguments(tmp_path), train_dataset=sentences(), optimizers=(optimizer, scheduler)
    )
    trainer.train()
    recorder.check(STEPS)
    assert recorder.rates == native_rates(name, RULE.lr, options, STEPS)


class RecordingTrainer(transformers.Trainer):
    """Records the optimizer that the Trainer makes of a class and its arguments."""

    recorder: Recorder

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        optimizer = super().create_optimizer(*args, **kwargs)
        self.recorder = Recorder(optimizer, rule_of)
        return optimizer


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.compiled)])
@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, STEPS),
        ({"lr_scheduler_type": "cosine", "warmup_steps": 3, "max_grad_norm": 0.1}, STEPS),
        ({"gradient_accumulation_steps": 3}, STEPS // 3),
        ({"gradient_accumulation_steps": 5}, 3),  # the last window is incomplete
        ({"bf16": True}, STEPS),
        ({"gradient_checkpointing": True}, STEPS),
    ],
    ids=str,
)
def test_trainer_makes_the_optimizer(
    options: dict[str, Any], steps: int, compiled: bool, tmp_path: Path
) -> None:
    """Of ``optimizer_cls_and_kwargs``; biases and LayerNorms do not decay."""
    model = bert()
    trainer = RecordingTrainer(
        model,
        arguments(tmp_path, weight_decay=0.05, learning_rate=2e-3, **options),
        train_dataset=sentences(),
        optimizer_cls_and_kwargs=(Optimizer, {"rule": RULE, "compiled": compiled}),
    )
    trainer.train()
    trainer.recorder.check(steps)
    decays = {
        name: group["weight_decay"]
        for group in trainer.recorder.groups
        for name, parameter in model.named_parameters()
        if any(parameter is each for each in group["params"])
    }
    assert len(decays) == len(list(model.parameters()))
    for name, decay in decays.items():
        spared = name.endswith("bias") or "LayerNorm" in name
        assert decay == (0.0 if spared else 0.05), name


def test_training_resumes_from_a_checkpoint(tmp_path: Path) -> None:
    """The resumed run ends with the weights of the unbroken one, which are the rule's own."""

    def trainer(folder: Path) -> Any:
        options = arguments(folder, save_strategy="steps", save_steps=STEPS // 2)
        return RecordingTrainer(
            bert(),
            options,
            train_dataset=sentences(),
            optimizer_cls_and_kwargs=(Optimizer, {"rule": RULE}),
        )

    unbroken = trainer(tmp_path / "unbroken")
    unbroken.train()
    unbroken.recorder.check(STEPS)
    resumed = trainer(tmp_path / "resumed")
    checkpoint = tmp_path / "unbroken" / f"checkpoint-{STEPS // 2}"
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.recorder.rates == unbroken.recorder.rates[STEPS // 2 :]
    pairs = zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_plateau_schedule_of_the_trainer(tmp_path: Path) -> None:
    """The Trainer hands the evaluated loss to torch's ReduceLROnPlateau."""
    model = bert()
    trainer = RecordingTrainer(
        model,
        arguments(
            tmp_path,
            lr_scheduler_type="reduce_lr_on_plateau",
            lr_scheduler_kwargs={"factor": 0.5, "patience": 0, "threshold": 1.0},
            eval_strategy="steps",
            eval_steps=3,
            metric_for_best_model="eval_loss",
        ),
        train_dataset=sentences(),
        eval_dataset=sentences()[:8],
        optimizer_cls_and_kwargs=(Optimizer, {"rule": RULE}),
    )
    trainer.train()
    trainer.recorder.check(STEPS)
    assert len(set(trainer.recorder.rates)) > 2
