"""NumPy's adapter loads a saved state whole or refuses it, and then nothing has changed."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.frameworks.numpy import Optimizer
from samestep.reference import RULES, SGD, Adam, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

STEPS = 9


def made(rule: Rule, dtype: Any = np.float32) -> Any:
    """An optimizer of two parameters."""
    return Optimizer([np.ones((2, 3), dtype), np.ones((2, 3), dtype)], rule)


def train(optimizer: Any, steps: int = STEPS) -> None:
    """Steps by gradients of another size for each parameter."""
    for _ in range(steps):
        optimizer.step(
            [p * 0 + p.dtype.type(2.0**-place) for place, p in enumerate(optimizer.parameters)]
        )


def saved_by(rule: Rule) -> dict[str, Any]:
    optimizer = made(rule)
    train(optimizer)
    return optimizer.state_dict()


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_training_goes_on_from_a_saved_state(kind: type[Rule]) -> None:
    """With equal bits; the saved hyperparameters and the rate come along."""
    unbroken = made(kind(weight_decay=0.5))
    train(unbroken)
    unbroken.lr = 0.25
    saved = copy.deepcopy(unbroken.state_dict())
    resumed = made(kind())
    for parameter, there in zip(resumed.parameters, unbroken.parameters, strict=True):
        parameter[...] = there
    resumed.load_state_dict(saved)
    for optimizer in (unbroken, resumed):
        train(optimizer)
    assert [p.tobytes() for p in resumed.parameters] == [p.tobytes() for p in unbroken.parameters]
    assert repr(resumed.state_dict()) == repr(unbroken.state_dict())


DAMAGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no step": (lambda s: s["state"][0].pop("step"), r"parameter 0: .*'step' is missing"),
    "no v": (lambda s: s["state"][1].pop("v"), r"parameter 1: .*'v' is missing"),
    "other shape": (
        lambda s: s["state"][1].update(v=np.ones(3)),
        r"parameter 1: 'v' must have the shape \(2, 3\), got \(3,\)",
    ),
    "count NaN": (lambda s: s["state"][0].update(step=np.nan), "0 or more, got nan"),
    "extra": (lambda s: s["state"][0].update(u=np.ones((2, 3))), "got 'u' as well"),
    "more parameters": (lambda s: s["state"].append({}), "of 2 parameters, .*, got 3"),
    "other rule": (lambda s: s.update(rule="SGD"), "must belong to Adam, got 'SGD'; build"),
    "no rate": (lambda s: s.pop("lr"), "must be a dict with rule, hyperparameters, lr, state"),
    "wider": (
        lambda s: s["state"][0].update(m=np.full((2, 3), 0.1)),
        "'m' must have numbers that float32 holds, got float64; load it beside",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_state_is_refused_and_nothing_has_changed(damage: str) -> None:
    spoil, message = DAMAGES[damage]
    saved = saved_by(Adam(lr=0.1))
    spoil(saved)
    optimizer = made(Adam(lr=0.5))
    before = repr(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    assert repr(optimizer.state_dict()) == before


def test_a_wider_dtype_with_the_same_numbers_is_taken() -> None:
    """And an empty state, of a parameter that never had a gradient, begins anew."""
    saved = saved_by(RMSprop(initial_mean_square=0.5))
    saved["state"][0]["v"] = saved["state"][0]["v"].astype(np.float64)
    saved["state"][1] = {}
    optimizer = made(RMSprop(initial_mean_square=0.5))
    optimizer.load_state_dict(saved)
    assert optimizer.state[0]["v"].dtype == np.float32
    assert optimizer.t == [STEPS, 0]
    assert optimizer.state[1]["v"].tolist() == [[0.5] * 3] * 2


def test_state_shares_no_memory_with_the_optimizer() -> None:
    optimizer = made(SGD(momentum=0.5))
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    before = copy.deepcopy(saved)
    train(optimizer, 1)
    assert repr(saved) == repr(before)
