"""Gradients recorded from a user's own training are those that the optimizer was given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, torch

from samestep.parity.assertion.recorder import Recorder
from samestep.parity.measure import limits
from samestep.parity.measure import trial as trials
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.verdict import judge_tensor
from samestep.reference import Rule, dialects


def assert_led_to(path: Path, rule: Rule, ends: dict[str, np.ndarray], steps: int) -> None:
    """The rule, on what was recorded, goes where the training went."""
    trial = trials.read(path)
    assert trial.steps == steps
    assert set(trial.start) == set(ends)
    actual = run_rule(rule, trial, "float32")
    bounds = limits.of_rule(rule, trial, "float32")
    for name, end in ends.items():
        last = slice(-1, None)
        verdict = judge_tensor(
            trial.start[name], end[None], actual.thetas[name][last], bounds.thetas[name][last]
        )
        assert verdict.holds, f"{name}: {verdict}"
        assert (end != trial.start[name]).any()


def test_recorded_torch_training_leads_to_the_same_weights(tmp_path: Path) -> None:
    """With a schedule, and a parameter that is frozen at first."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.named_parameters(), lr=0.0625)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    recorder = Recorder(optimizer)
    for step in range(5):
        model[0].bias.requires_grad_(step > 1)
        optimizer.zero_grad()
        model(torch.ones(2, 3) * (step + 1)).square().mean().backward()
        optimizer.step()
        schedule.step()
    path = recorder.save(tmp_path / "gradients.npz")
    ends = {name: p.detach().numpy() for name, p in model.named_parameters()}
    assert_led_to(path, dialects.pytorch.read("Adam", lr=0.0625), ends, 5)
    assert list(trials.read(path).present["0.bias"]) == [False, False, True, True, True]
    assert list(trials.read(path).rate_factors) == [1, 1, 0.5, 0.5, 0.25]


def test_recorded_keras_training_leads_to_the_same_weights(tmp_path: Path) -> None:
    """Under ``model.fit``, in a graph."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    optimizer = keras.optimizers.RMSprop(0.0625)
    model.compile(optimizer, loss="mse", jit_compile=False)
    recorder = Recorder(optimizer)
    model.fit(
        np.ones((8, 3), "float32"), np.zeros((8, 1), "float32"), batch_size=2, epochs=1, verbose=0
    )
    path = recorder.save(tmp_path / "gradients.npz")
    ends = {variable.path: variable.numpy() for variable in model.trainable_variables}
    assert_led_to(path, dialects.keras.read("RMSprop", learning_rate=0.0625), ends, 4)


@pytest.mark.parametrize("thing", [object(), None])
def test_what_is_no_optimizer_is_refused(thing: Any) -> None:
    """By its type."""
    with pytest.raises(ValueError, match="optimizer must be a torch"):
        Recorder(thing)


def test_nothing_recorded_is_not_saved(tmp_path: Path) -> None:
    """A recorder that heard nothing writes nothing."""
    recorder = Recorder(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]))
    with pytest.raises(ValueError, match="took none"):
        recorder.save(tmp_path / "gradients.npz")
    assert not list(tmp_path.iterdir())


BAD = [
    ({"kernel": np.ones((2, 3))}, "must hold gradients/NAME"),
    ({"gradients/k": np.ones((2, 3), int)}, "gradients/k must be real"),
    ({"gradients/k": np.ones((2, 3)), "shares": np.ones(3)}, r"must be real, \(3, \*shape\)"),
    (
        {"gradients/k": np.ones((2, 3)), "start/k": np.ones(2)},
        r"start/k must have the shape \(3,\), got \(2,\)",
    ),
]


@pytest.mark.parametrize(("arrays", "message"), BAD)
def test_a_file_that_holds_no_gradients_is_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """What must hold, what came."""
    path = tmp_path / "gradients.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        trials.read(path)
