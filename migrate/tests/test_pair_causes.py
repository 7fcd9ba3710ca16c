"""Causes are found one after the other, and are exchanged in memory until nothing is left."""

from pathlib import Path
from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, torch

# isort: split
from samestep.frameworks.experiment import process
from samestep.migrate.pair.compare import Comparison, Options, compare
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.tests.support.families import Recurrent

layers, nn = keras.layers, torch.nn


def batch() -> Any:
    random = np.random.default_rng(0)
    return random.standard_normal((6, 3, 8, 8)).astype("float32"), random.integers(0, 10, 6)


def in_torch() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1),
        nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


def in_keras() -> Any:
    return keras.Sequential([
        layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(),
        layers.ReLU(), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(),
        layers.ReLU(), layers.Flatten(), layers.Dense(10),
    ])  # fmt: skip


def answer(until_same: bool, **changes: Any) -> Comparison:
    keras.backend.clear_session()
    values = {"torch_model": in_torch, "keras_model": in_keras, "batch": batch, **changes}
    program = Program(values, "mine.py")
    return compare(record_pytorch(program, 2), program, Options({}, until_same))


ADAMS = ("pytorch:Adam(lr=0.001)", "keras:Adam(learning_rate=0.001, epsilon=1e-4)")


def test_until_same_finds_all_three_causes_of_two_default_layers() -> None:
    """Epsilon and momentum of BatchNorm, each in two layers, and Adam's epsilon."""
    causes = [each["text"] for each in answer(True, optimizers=ADAMS).causes]
    assert len(causes) == 3
    assert causes[0].startswith("epsilon is 0.001 in Keras and 1e-05 in PyTorch")
    assert "in 2 layers" in causes[0]
    assert "the optimizers differ in several fields" in causes[1]
    assert causes[2].startswith("momentum is 0.99 in Keras and 0.1 in PyTorch")


def test_a_second_cause_of_the_optimizer_is_behind_the_first() -> None:
    """With what to write; clipping is exchanged first, and stays so."""
    adagrads = "Adagrad(lr=0.001)", "Adagrad(learning_rate=0.001, clipnorm=0.01)"
    causes = [each["text"] for each in answer(True, optimizers=adagrads).causes]
    clipping, fields = causes[1:3]
    assert clipping == (
        "clipping is each tensor to the norm 0.01 (clipnorm) in Keras and none in PyTorch"
    )
    assert "initial_accumulator 0.1 / 0.0: write Adagrad(lr=0.001, initial_acc" in fields


def test_without_it_only_the_first_is_named() -> None:
    (cause,) = answer(False, optimizers=ADAMS).causes
    assert cause["convention"] == "batchnorm-defaults"
    assert cause["stage"] == "forward"


def test_the_models_have_their_settings_again_afterwards() -> None:
    """An exchange is undone, so a second judgement finds the same."""
    model = in_keras()
    first = answer(True, keras_model=lambda: model)
    second = answer(True, keras_model=lambda: model)
    assert [each["text"] for each in first.causes] == [each["text"] for each in second.causes]
    assert first.causes


def test_a_script_shows_the_difference_by_itself(tmp_path: Path) -> None:
    """In a process of its own, without the models; other stages have no script."""
    keras.backend.clear_session()
    values: dict[str, Any] = {"torch_model": in_torch, "keras_model": in_keras, "batch": batch}
    program = Program(values, "mine.py")
    script = tmp_path / "shown.py"
    comparison = compare(record_pytorch(program, 1), program, Options(repro=script))
    first = comparison.judgement.first
    assert first is not None
    ended = process.run_python([str(script)], cwd=tmp_path)
    assert ended.code == 0, ended.message
    shown = float(ended.stdout.splitlines()[-1].removeprefix("largest distance "))
    assert shown == first.distance
    script.unlink()
    losses = nn.CrossEntropyLoss(reduction="sum"), keras.losses.SparseCategoricalCrossentropy(True)
    values |= {
        "torch_model": lambda: nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3, 10)),
        "keras_model": lambda: keras.Sequential(
            [layers.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(10)]
        ),
        "loss": losses,
    }
    program = Program(values, "mine.py")
    comparison = compare(record_pytorch(program, 1), program, Options(repro=script))
    assert "no script was written" in comparison.judgement.not_compared[-1]
    assert not script.exists()


def test_an_unknown_cause_says_what_was_tried() -> None:
    def other() -> Any:
        model = in_keras()
        model.layers[0].__dict__["call"] = lambda x: (
            1.5 * type(model.layers[0]).call(model.layers[0], x)
        )
        return model

    (cause,) = answer(False, keras_model=other).causes
    assert cause["text"] == "none known"
    assert not cause["known"]
    assert cause["tried"]


def recurrent(keras_adam: str) -> list[str]:
    """The causes between Recurrent and its twin, under Adam of each framework."""
    random = np.random.default_rng(0)
    sequences = random.standard_normal((5, 6, 5)).astype("float32"), random.integers(0, 3, 5)
    comparison = answer(
        True,
        torch_model=Recurrent,
        keras_model=lambda: keras.Sequential(
            [layers.Input((6, 5)), layers.LSTM(4), layers.Dense(3)]
        ),
        batch=lambda: sequences,
        optimizers=("pytorch:Adam(lr=0.01)", keras_adam),
    )
    return [cause["text"] for cause in comparison.causes]


def test_two_causes_of_one_stage_are_told_apart() -> None:
    """Adam's epsilon moves every weight; the biases of an LSTM move twice as far besides."""
    both = "2 biases whose sum is sequential/lstm/lstm_cell/bias, so it moves 2 times as far"
    epsilon, biases = recurrent("keras:Adam(learning_rate=0.01, epsilon=1e-8)")
    assert epsilon == (
        "epsilon_at is hat in Keras and outside in PyTorch: no optimizer of either framework takes "
        "the other's steps; use samestep.frameworks.pytorch.Optimizer or .tensorflow.Optimizer "
        "with one rule"
    )
    assert both in biases
    (alone,) = recurrent("pytorch:Adam(lr=0.01)")
    assert both in alone


def test_softmax_twice_is_named_with_its_side_and_the_rest_is_judged() -> None:
    """In the model and in the loss; then the learning rates, which differ as well."""
    torch_loss = nn.CrossEntropyLoss()
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def in_torch_with(*head: Any) -> Any:
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 10), *head)

    def in_keras_with(activation: str | None) -> Any:
        return keras.Sequential(
            [layers.Input((8, 8, 3)), layers.Flatten(), layers.Dense(10, activation=activation)]
        )

    for side, head, activation in (
        ("Keras", [], "softmax"),
        ("PyTorch", [nn.Softmax(-1)], None),
    ):
        comparison = answer(
            True,
            torch_model=lambda head=head: in_torch_with(*head),
            keras_model=lambda activation=activation: in_keras_with(activation),
            loss=(torch_loss, lambda targets, output: keras_loss(targets, output)),
            optimizers=("pytorch:SGD(lr=0.1)", "keras:SGD(learning_rate=0.2)"),
        )
        softmax, rate = (cause["text"] for cause in comparison.causes)
        assert softmax.startswith(f"{side} applies softmax twice")
        assert rate.startswith(
            "lr is 0.2 in Keras and 0.1 in PyTorch: write SGD(lr=0.2) in PyTorch"
        )


def accumulators(in_keras: float) -> Any:
    """Adagrad with another start of its sum in Keras: a fault before the first step."""
    return (
        lambda params: torch.optim.Adagrad(params, 0.01, initial_accumulator_value=0.5),
        lambda: keras.optimizers.Adagrad(0.01, in_keras, epsilon=1e-10),
    )


def test_each_step_starts_from_the_state_of_the_reference() -> None:
    """So a wrong start of the state is a finding of the first step alone."""
    small = {"torch_model": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10)),
             "keras_model": lambda: keras.Sequential([layers.Flatten(), layers.Dense(10)]),
             }  # fmt: skip
    wrong = answer(False, optimizers=accumulators(0.25), **small).judgement
    assert {(each.stage, each.step) for each in wrong.different} == {
        ("weights after", 1),
        ("optimizer state", 1),
    }
    assert answer(False, optimizers=accumulators(0.5), **small).same


def test_momentum_of_steps_goes_on_from_momentum_of_gradients() -> None:
    """Keras' SGD stores it multiplied by the learning rate; three steps are the same."""
    both = (
        lambda params: torch.optim.SGD(params, 0.1, momentum=0.9),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    )
    comparison = answer(False, optimizers=both)
    stages = {each.stage for each in comparison.judgement.different}
    assert not stages & {"weights after", "optimizer state"}


class Positions(torch.nn.Module):
    """Embedded tokens, scaled inside the layer, and positions for each sample."""

    class Scaled(torch.nn.Embedding):
        """An embedding that does more than its class."""

        def forward(self, ids: Any) -> Any:
            return super().forward(ids) * 2.0

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = self.Scaled(9, 8), nn.Embedding(5, 8)
        self.norm = nn.LayerNorm(8, eps=1e-3)

    def forward(self, ids: Any) -> Any:
        return self.norm(self.tokens(ids) + self.places(torch.arange(5).expand(len(ids), 5)))


class KerasPositions(keras.Model):
    """The same with positions that are embedded once."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = layers.Embedding(9, 8), layers.Embedding(5, 8)
        self.norm = layers.LayerNormalization()

    def call(self, ids: Any) -> Any:
        return self.norm(self.tokens(ids) * 2.0 + self.places(keras.ops.arange(5)))


def test_parts_of_unlike_size_are_no_difference() -> None:
    """Nor is a gradient that cancels: the mean square of what LayerNorm gives hardly moves."""
    random = np.random.default_rng(0)
    ids = random.integers(0, 9, (6, 5)), np.zeros(1, np.float32)
    losses = (lambda y, t: (y**2).mean(), lambda t, y: keras.ops.mean(y**2))
    changes = {"torch_model": Positions, "keras_model": KerasPositions, "batch": lambda: ids}
    comparison = answer(False, loss=losses, **changes)
    assert [each.place for each in comparison.judgement.different] == []
    assert comparison.judgement.not_compared == [
        "clip, weights after, optimizer state: there is no `optimizers`"
    ]
