"""Plateaus: worked examples, the natives of PyTorch and Keras, and our adapters."""

import io
import itertools
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, torch

import samestep.frameworks.numpy
import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.reference import SGD
from samestep.reference.dialects import Inexpressible, parts
from samestep.reference.parts import Mode, Plateau, ThresholdMode

pytestmark = pytest.mark.rung(2)

FALLING = [100 - 0.003 * epoch for epoch in range(8)]


def rates(plateau: Plateau, values: Sequence[float], lr: float = 1.0) -> list[float]:
    """The rate after each of the values."""
    state, results = plateau.start(), []
    for value in values:
        state, falls = plateau.update(state, value)
        lr = plateau.lowered(lr) if falls else lr
        results.append(lr)
    return results


def torch_native(arguments: dict[str, Any], values: Sequence[float]) -> list[float]:
    """The rate after each of the values under torch's ReduceLROnPlateau."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, results = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments), []
    for value in values:
        scheduler.step(value)
        results.append(optimizer.param_groups[0]["lr"])
    return results


def keras_native(arguments: dict[str, Any], values: Sequence[float]) -> list[float]:
    """The rate after each of the values under Keras' ReduceLROnPlateau, in its float32."""
    optimizer = keras.optimizers.SGD(1.0)
    callback, results = keras.callbacks.ReduceLROnPlateau(**arguments), []
    callback.set_model(SimpleNamespace(optimizer=optimizer, metrics=[]))
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {arguments.get("monitor", "val_loss"): value})
        results.append(float(optimizer.learning_rate.numpy()))
    return results


def rounded(numbers: Sequence[float]) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers]


def test_worked_examples() -> None:
    """Six losses of 1; and eight that fall by 0.003 from 100. Natives and parts alike."""
    ones = [1.0] * 6
    by_keras, by_torch = [1, 1, 0.1, 0.1, 0.01, 0.01], [1, 1, 1, 0.1, 0.1, 0.1]
    assert rounded(keras_native({"patience": 2}, ones)) == by_keras
    assert rounded(rates(parts.keras.read_plateau(patience=2), ones)) == by_keras
    assert rounded(torch_native({"patience": 2}, ones)) == by_torch
    assert rounded(rates(parts.pytorch.read_plateau(patience=2), ones)) == by_torch
    never, often = [1] * 8, [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert rounded(keras_native({"patience": 2}, FALLING)) == never
    assert rates(parts.keras.read_plateau(patience=2), FALLING) == never
    assert rounded(torch_native({"patience": 1}, FALLING)) == often
    assert rounded(rates(parts.pytorch.read_plateau(patience=1), FALLING)) == often
    absolute = {"patience": 1, "threshold_mode": "abs"}
    assert torch_native(absolute, FALLING) == never
    assert rates(parts.pytorch.read_plateau(**absolute), FALLING) == never


def test_translation() -> None:
    """Keras' patience is one more, its min_delta is absolute, its cooldown one more."""
    call = parts.pytorch.spell_plateau(parts.keras.read_plateau(patience=2, cooldown=3))
    assert str(call) == ("ReduceLROnPlateau(patience=1, threshold_mode='abs', cooldown=2, eps=0.0)")
    arguments = {"patience": 1, "threshold_mode": "abs", "cooldown": 2}
    call = parts.keras.spell_plateau(parts.pytorch.read_plateau(**arguments))
    assert str(call) == (
        "ReduceLROnPlateau(patience=2, mode='min', cooldown=3)  # while the rate is above 1.11e-08"
    )


def random_values(seed: int) -> list[float]:
    """Losses that improve, worsen and stand still by eighths, so that nothing is rounded."""
    moves = np.random.default_rng(seed).integers(-3, 4, size=40)
    return [float(value) for value in 16 + np.cumsum(moves) / 8]


GRID = list(itertools.product((0, 1, 2, 3), (0, 1, 2, 3), (0.0, 0.125, 0.25), ("min", "max")))


@pytest.mark.parametrize(("patience", "cooldown", "threshold", "mode"), GRID)
def test_plateau_of_torch_is_its_dialect(
    patience: int, cooldown: int, threshold: float, mode: str
) -> None:
    """In both threshold modes, with a least rate, and as spelled again."""
    for seed, kind in itertools.product(range(3), ("rel", "abs")):
        arguments = {
            "patience": patience, "cooldown": cooldown, "threshold": threshold, "mode": mode,
            "threshold_mode": kind, "factor": 0.5, "min_lr": 2.0**-5,
        }  # fmt: skip
        plateau = parts.pytorch.read_plateau(**arguments)
        native = torch_native(arguments, random_values(seed))
        assert rates(plateau, random_values(seed)) == native
        assert native[-1] < 1
        call = parts.pytorch.spell_plateau(plateau)
        assert parts.pytorch.read_plateau(call.name, **call.arguments) == plateau


@pytest.mark.parametrize(("patience", "cooldown", "delta", "mode"), GRID)
def test_plateau_of_keras_is_its_dialect(
    patience: int, cooldown: int, delta: float, mode: str
) -> None:
    """Cooldowns included, which end an epoch earlier than they say; and as spelled again."""
    for seed in range(3):
        arguments = {
            "patience": patience, "cooldown": cooldown, "min_delta": delta, "mode": mode,
            "factor": 0.5, "min_lr": 2.0**-5,
        }  # fmt: skip
        plateau = parts.keras.read_plateau(**arguments)
        native = keras_native(arguments, random_values(seed))
        assert rates(plateau, random_values(seed)) == native
        assert native[-1] < 1
        call = parts.keras.spell_plateau(plateau)
        assert parts.keras.read_plateau(call.name, **call.arguments) == plateau
        assert keras_native(call.arguments, random_values(seed)) == native
        spelled = parts.pytorch.spell_plateau(plateau)
        assert torch_native(spelled.arguments, random_values(seed)) == native


def test_a_fall_by_little_does_not_happen_in_torch() -> None:
    """Its eps: from 1e-8 on the rate stays. Keras has none, and says while what holds."""
    plateau = parts.pytorch.read_plateau(patience=0, threshold_mode="abs")
    ones = [1.0] * 12
    assert rates(plateau, ones) == torch_native({"patience": 0, "threshold_mode": "abs"}, ones)
    assert rates(plateau, ones)[-1] > 9e-9
    assert rates(parts.keras.read_plateau(patience=1), ones)[-1] < 1e-10


def test_not_a_number_is_no_improvement() -> None:
    values = [1.0, float("nan"), float("nan"), 0.5, float("inf")]
    arguments = {"patience": 1, "factor": 0.5}
    assert rates(parts.pytorch.read_plateau(**arguments), values) == [1, 1, 0.5, 0.5, 0.5]
    assert torch_native(arguments, values) == [1, 1, 0.5, 0.5, 0.5]
    assert keras_native({"patience": 2, "factor": 0.5}, values) == [1, 1, 0.5, 0.5, 0.5]


# Adapters


Steps = Callable[[float], None]


def adapters(plateau: Plateau) -> list[tuple[Any, Steps, Callable[[], float]]]:
    """Of each framework the scheduler, its step and the optimizer's rate, which begins at 1."""
    rule = SGD(lr=1.0)
    array = samestep.frameworks.numpy.Optimizer([np.zeros(1)], rule)
    tensors = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    groups = [
        {"params": tensors[:1]},
        {"params": tensors[1:2], "lr": torch.tensor(1.0, dtype=torch.float64)},
    ]
    ours = samestep.frameworks.pytorch.Optimizer(groups, rule)
    theirs = torch.optim.SGD(tensors[2:], lr=1.0)
    variable = samestep.frameworks.tensorflow.Optimizer(rule)
    callback = in_keras.PlateauCallback(plateau)
    callback.set_model(SimpleNamespace(optimizer=variable))
    numpy_scheduler = in_numpy.PlateauScheduler(array, plateau)
    torch_schedulers = [in_torch.PlateauScheduler(each, plateau) for each in (ours, theirs)]
    return [
        (numpy_scheduler, numpy_scheduler.step, lambda: array.lr),
        (torch_schedulers[0], torch_schedulers[0].step, lambda: ours.param_groups[0]["lr"]),
        (torch_schedulers[0], lambda _: None, lambda: float(ours.param_groups[1]["lr"])),
        (torch_schedulers[1], torch_schedulers[1].step, lambda: theirs.param_groups[0]["lr"]),
        (
            callback,
            lambda value: callback.on_epoch_end(0, {"val_loss": value}),
            lambda: float(variable.learning_rate.numpy()),
        ),
    ]


PLATEAUS = [
    Plateau(patience=1, factor=0.3),
    Plateau(mode=Mode.MAX, patience=0, factor=0.7, cooldown=2, threshold=0.2, min_lr=0.1),
    Plateau(patience=2, factor=0.1, threshold_mode=ThresholdMode.ABS, least_change=0.05),
]


@pytest.mark.parametrize("plateau", PLATEAUS, ids=repr)
def test_every_framework_sets_the_doubles_of_the_plateau(plateau: Plateau) -> None:
    """And goes on from a state that was saved in the middle, without pickle."""
    values = random_values(1)
    expected = rates(plateau, values)
    assert expected[-1] < 1
    first, second = adapters(plateau), adapters(plateau)
    results = []
    for value in values[:17]:
        for _, step, _ in first:
            step(value)
        results.append([rate() for _, _, rate in first])
    assert results == [[rate] * 5 for rate in expected[:17]]
    for (saved, _, _), (resumed, _, _) in zip(first, second, strict=True):
        file = io.BytesIO()
        torch.save(saved.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
        assert json.loads(json.dumps(saved.state_dict())) == state
        resumed.load_state_dict(state)
        with pytest.raises(ValueError, match=r"must belong to Plateau\(.*\), got Plateau"):
            resumed.load_state_dict({**state, "plateau": Plateau(patience=9).to_dict()})
    for value in values[17:]:
        for _, step, _ in second:
            step(value)
    state = plateau.start()
    for value in values:
        state, _ = plateau.update(state, value)
    assert [scheduler.watch.state for scheduler, _, _ in second] == [state] * 5


def test_training_loops_take_it_for_the_scheduler_of_torch() -> None:
    """By its class, its last rates and its counters."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = in_torch.PlateauScheduler(optimizer, Plateau(patience=5, cooldown=1))
    assert isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
    for value in (torch.tensor(3.0), 4.0):
        scheduler.step(value)
    assert (scheduler.best, scheduler.num_bad_epochs, scheduler.last_epoch) == (3.0, 1, 2)
    assert scheduler.get_last_lr() == [1.0]
    assert not scheduler.in_cooldown


def test_callback_works_in_fit_and_goes_on_in_the_next() -> None:
    """On our optimizer, in double precision; Keras' own counts anew in each fit."""
    rates_after: list[float] = []
    for callback in (
        in_keras.PlateauCallback(Plateau(patience=1, factor=0.3, min_lr=0.001), "loss"),
        keras.callbacks.ReduceLROnPlateau("loss", patience=2, factor=0.3, min_lr=0.001),
    ):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        optimizer = samestep.frameworks.tensorflow.Optimizer(SGD(lr=0.1), learning_rate=0.0)
        model.compile(optimizer=optimizer, loss="mse")
        optimizer.learning_rate = 1e-30  # nothing moves, so that no epoch is better
        model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0)
        optimizer.learning_rate = 0.1
        callback.set_model(model)
        for _ in range(3):  # the weights stay at a minimum
            model.set_weights([np.ones((1, 1)), np.zeros(1)])
            model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0, callbacks=[callback])
        rates_after.append(float(optimizer.learning_rate.numpy()))
    assert rates_after == [0.1 * 0.3, 0.1]


def test_what_is_not_logged_is_said() -> None:
    callback = in_keras.PlateauCallback(Plateau(), monitor="val_acc")
    callback.set_model(SimpleNamespace(optimizer=None))
    with pytest.warns(UserWarning, match=r"one of the logged values \(loss\), got 'val_acc'"):
        callback.on_epoch_end(0, {"loss": 1.0})


REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: parts.keras.spell_plateau(Plateau()), "min_delta is absolute"),
    (lambda: parts.keras.read_plateau(monitor="val_accuracy"), "asks the model's metric"),
    (lambda: parts.pytorch.read_plateau(min_lr=[0.1, 0.2]), "one least rate"),
]


@pytest.mark.parametrize(("refused", "why"), REFUSALS)
def test_what_cannot_be_said_is_refused(refused: Callable[[], Any], why: str) -> None:
    with pytest.raises(Inexpressible, match=why) as raised:
        refused()
    assert "Instead: " in str(raised.value)


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: parts.pytorch.read_plateau(mode="auto"), "mode must be 'min' or 'max', got 'auto'"),
    (lambda: parts.keras.read_plateau(mode="up"), "mode must be 'auto', 'min' or 'max', got 'up'"),
    (lambda: parts.pytorch.read_plateau(min_delta=1), "has no argument 'min_delta'"),
    (lambda: parts.pytorch.read_plateau(factor=1.0), r"factor must lie in \[0, 1\), got 1.0"),
    (lambda: in_keras.PlateauCallback(3), r"must be one such as Plateau\(patience=3\), got 3"),
    (
        lambda: in_numpy.PlateauScheduler(None, Plateau()),
        "optimizer must be samestep.frameworks.numpy.Optimizer, got None",
    ),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES)
def test_mistakes_are_named(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mistake()


def test_readings_that_mean_the_same() -> None:
    """min_lr of all groups, the sign of min_delta, the direction of a loss."""
    assert parts.pytorch.read_plateau(min_lr=[0.1, 0.1]) == parts.pytorch.read_plateau(min_lr=0.1)
    negative = parts.keras.read_plateau(monitor="loss", min_delta=-0.5)
    assert negative == parts.keras.read_plateau(mode="min", min_delta=0.5)
    assert parts.keras.read_plateau(mode="max").mode is Mode.MAX
