"""Hugging Face's Trainer with our optimizer, on a small BERT with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import torch

import samestep.frameworks.numpy
from samestep.frameworks.pytorch import Optimizer
from samestep.parity.tests.support.replay import History, Recorder, assert_same
from samestep.parity.tests.support.require import require
from samestep.reference import ASGD, Adam, Decay, Rule, ScheduleFree

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


AVERAGING: list[Rule] = [ScheduleFree(lr=1e-2, beta1=0.7), ASGD(lr=1e-2, t0=2)]
EVERY = 3  # steps between two evaluations


class BackToTraining(transformers.TrainerCallback):
    """Ends each evaluation by ``optimizer.train()``; keeps what parameters it was of."""

    def __init__(self) -> None:
        self.evaluated: list[list[np.ndarray]] = []

    def on_evaluate(self, *_: Any, model: Any, optimizer: Any, **__: Any) -> None:
        """Called by the Trainer before it saves a checkpoint."""
        self.evaluated.append([p.detach().numpy().copy() for p in model.parameters()])
        optimizer.train()


def averaging_trainer(rule: Rule, folder: Path, callbacks: Any = (), **options: Any) -> Any:
    """A Trainer that evaluates; its optimizer is recorded as ``recorder``."""
    model = bert()
    optimizer = Optimizer(model.parameters(), rule)
    scheduler = transformers.get_scheduler("constant", optimizer)
    trainer = transformers.Trainer(
        model,
        arguments(folder, eval_strategy="steps", eval_steps=EVERY, **options),
        train_dataset=sentences(),
        eval_dataset=sentences()[:8],
        optimizers=(optimizer, scheduler),
        callbacks=list(callbacks),
    )
    trainer.recorder = Recorder(optimizer, lambda group: rule)
    return trainer


def averages(history: History) -> list[np.ndarray]:
    """The rule's own average of a tensor at each evaluation, by NumPy."""
    theta = history.start.copy()
    optimizer = samestep.frameworks.numpy.Optimizer([theta], history.steps[0].rule)
    values = []
    for count, step in enumerate(history.steps, 1):
        optimizer.step([step.gradient])
        if count % EVERY == 0:
            optimizer.eval()
            values.append(theta.copy())
            optimizer.train()
    return values


@pytest.mark.parametrize("callback", [True, False])
@pytest.mark.parametrize("rule", AVERAGING, ids=repr)
def test_trainer_evaluates_the_averages_and_trains_on(
    rule: Rule, callback: bool, tmp_path: Path
) -> None:
    """It calls ``eval()`` and ``train()`` by itself; at the end it has evaluated."""
    back = BackToTraining()
    trainer = averaging_trainer(rule, tmp_path, [back] if callback else [])
    trainer.train()
    assert len(back.evaluated) == (STEPS // EVERY if callback else 0)
    histories = trainer.recorder.histories
    expected = [averages(history) for history in histories.values()]
    for place, evaluated in enumerate(back.evaluated):
        assert_same([values[place] for values in expected], evaluated)
    if not callback:
        assert_same(
            [values[-1] for values in expected], [p.detach().numpy().copy() for p in histories]
        )
    trainer.optimizer.train()
    trainer.recorder.check(STEPS)


@pytest.mark.parametrize("rule", AVERAGING, ids=repr)
def test_averages_are_not_saved_as_if_they_were_trained(rule: Rule, tmp_path: Path) -> None:
    """A checkpoint right after an evaluation; with the callback it goes on as the unbroken run."""
    saving = {"save_strategy": "steps", "save_steps": 2 * EVERY}
    with pytest.raises(ValueError, match=r"train\(\) must be called before state_dict\(\)"):
        averaging_trainer(rule, tmp_path / "refused", **saving).train()
    unbroken = averaging_trainer(rule, tmp_path / "unbroken", [BackToTraining()], **saving)
    unbroken.train()
    unbroken.recorder.check(STEPS)
    resumed = averaging_trainer(rule, tmp_path / "resumed", [BackToTraining()])
    checkpoint = tmp_path / "unbroken" / f"checkpoint-{2 * EVERY}"
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert len(resumed.recorder.rates) == STEPS - 2 * EVERY
    pairs = zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)
