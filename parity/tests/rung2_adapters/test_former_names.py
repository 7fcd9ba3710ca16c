"""Rung 2: what an adapter saved before hyperparameters were renamed still loads, with the same meaning.

The JSON file was written by the adapters of 0.1.0 before the renames: after two steps of each rule the
state_dict of PyTorch's and the parameters, the parameters after a third step, and the optimizer's
entry in a Keras model's file. The step of Muon's matrix is left out, since its products round
differently on other machines.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.require import require
from samestep.reference import Adafactor, Adam, Muon, Rule
from samestep.reference.former_names import present_names

pytestmark = pytest.mark.rung(2)

SAVED = json.loads(Path(__file__).with_name("saved_under_former_names.json").read_text())
RULES: dict[str, Rule] = {
    "Adam": Adam(lr=0.25, beta2=0.75, weight_decay=0.5, decay="DECOUPLED", epsilon_at="HAT"),
    "Muon": Muon(
        lr=0.25, ema=True, shape_scale="LONGER_SIDE", lr_scale=0.5, adam_lr_scale=0.5,
        momentum=0.75, weight_decay=0.125,
    ),
    "Adafactor": Adafactor(
        lr=0.25, size_measured_at="AFTER_DECAY", weight_decay=0.5, epsilon1=0.25, epsilon1_at="FLOOR",
    ),
}  # fmt: skip


def state_dict(name: str) -> dict[str, Any]:
    """The saved state_dict of a rule, with tensors."""
    torch = require("torch")
    saved = json.loads(json.dumps(SAVED[name]["state_dict"]))
    states = {
        int(index): {key: x if key == "step" else torch.tensor(x) for key, x in state.items()}
        for index, state in saved["state"].items()
    }
    return {**saved, "state": states}


def optimizer_of(name: str) -> Any:
    """An optimizer of PyTorch with the saved parameters, under the rule by its present names."""
    torch = require("torch")
    from samestep.frameworks.pytorch import Optimizer

    parameters = [torch.nn.Parameter(torch.tensor(x)) for x in SAVED[name]["parameters"]]
    return Optimizer(parameters, RULES[name])


def third_step(optimizer: Any) -> list[Any]:
    """The parameters after the third step that the saved run took."""
    torch = require("torch")
    gradients = [torch.tensor([[0.5, -1.0], [0.25, 3.0]]), torch.tensor([1.0, -1.5, 0.125])]
    parameters = optimizer.param_groups[0]["params"]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    return [parameter.detach().tolist() for parameter in parameters]


@pytest.mark.parametrize("name", RULES)
def test_a_saved_state_dict_goes_on_as_the_saved_run_did(name: str) -> None:
    loaded = optimizer_of(name)
    loaded.load_state_dict(state_dict(name))
    fresh = optimizer_of(name)
    assert loaded.state_dict()["param_groups"] == fresh.state_dict()["param_groups"]
    groups = fresh.state_dict()["param_groups"]
    fresh.load_state_dict({**state_dict(name), "param_groups": groups})
    moved = third_step(loaded)
    assert moved == third_step(fresh)
    expected = SAVED[name]["next"]
    assert [x for x, due in zip(moved, expected, strict=True) if due] == [x for x in expected if x]


@pytest.mark.parametrize("name", RULES)
def test_a_saved_keras_optimizer_has_the_rule_by_its_present_names(name: str) -> None:
    require("tensorflow")
    import keras

    import samestep.frameworks.tensorflow  # noqa: F401  # registers the class

    loaded = keras.saving.deserialize_keras_object(SAVED[name]["serialized"])
    assert loaded.rule == RULES[name]
    assert float(loaded.learning_rate) == RULES[name].lr


def test_a_saved_hyperparameter_under_both_names_is_refused() -> None:
    with pytest.raises(
        ValueError, match="Muon's reach is now called shape_scale; the saved values"
    ):
        present_names("Muon", {"reach": "TALL", "shape_scale": "ONE"})


@pytest.mark.parametrize(("former", "present"), [("TALL", "ASPECT_RATIO"), ("ONE", "ONE")])
def test_every_former_shape_scale_has_a_present_one(former: str, present: str) -> None:
    assert Muon(**present_names("Muon", {"reach": former})) == Muon(shape_scale=present)
