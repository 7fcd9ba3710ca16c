"""PyTorch's adapter loads a saved state whole or refuses it, and then nothing has changed."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.reference import RULES, SGD, Adam, Muon, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

STEPS = 9


def made(rule: Rule, names: tuple[str, ...] = (), dtype: Any = None) -> tuple[list[Any], Any]:
    """Two parameters, and their optimizer, which knows their names if there are some."""
    thetas = [torch.nn.Parameter(torch.ones(2, 3, dtype=dtype)) for _ in range(2)]
    return thetas, Optimizer(list(zip(names, thetas, strict=True)) if names else thetas, rule)


def train(thetas: list[Any], optimizer: Any, steps: int = STEPS) -> None:
    """Steps by gradients of another size for each parameter."""
    for _ in range(steps):
        for place, theta in enumerate(thetas):
            theta.grad = torch.full_like(theta, 2.0**-place)
        optimizer.step()


def saved_by(rule: Rule, names: tuple[str, ...] = (), dtype: Any = None) -> dict[str, Any]:
    """A state after some steps, as it comes out of a file."""
    thetas, optimizer = made(rule, names, dtype)
    train(thetas, optimizer)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def everything(optimizer: Any) -> str:
    """All that a load could change."""
    return repr(optimizer.state_dict())


DAMAGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no step": (lambda s: s["state"][0].pop("step"), r"parameter 0: .*'step' is missing. Save"),
    "no moments": (
        lambda s: [s["state"][1].pop(name) for name in "mv"],
        r"parameter 1: .*'m', 'v' are missing",
    ),
    "no v": (lambda s: s["state"][1].pop("v"), r"parameter 1: .*'v' is missing"),
    "other shape": (
        lambda s: s["state"][1].update(v=torch.ones(3, 2)),
        r"parameter 1: 'v' must have the shape \(2, 3\), got \(3, 2\); load it into",
    ),
    "count NaN": (
        lambda s: s["state"][0].update(step=float("nan")),
        r"parameter 0: 'step', .* must be a whole number, 0 or more, got nan",
    ),
    "count below zero": (lambda s: s["state"][0].update(step=-1), "0 or more, got -1"),
    "count broken": (lambda s: s["state"][0].update(step=2.5), "0 or more, got 2.5"),
    "count a bool": (lambda s: s["state"][0].update(step=True), "0 or more, got True"),
    "count a vector": (lambda s: s["state"][0].update(step=torch.ones(2)), "0 or more, got tensor"),
    "extra state": (
        lambda s: s["state"][0].update(exp_avg=torch.ones(2, 3)),
        r"parameter 0: Adam keeps 'step', 'm', 'v', .*, got 'exp_avg' as well",
    ),
    "extra parameter": (lambda s: s["state"].update({2: {}}), "got a state of 2 as well"),
    "whole numbers": (
        lambda s: s["state"][0].update(m=torch.ones(2, 3, dtype=torch.int32)),
        "'m' must have a real dtype, got torch.int32",
    ),
    "complex numbers": (
        lambda s: s["state"][0].update(m=torch.ones(2, 3, dtype=torch.complex64)),
        "'m' must have a real dtype, got torch.complex64",
    ),
    "list": (lambda s: s["state"][0].update(m=[1.0]), "'m' must be an array, got "),
    "no dict": (lambda s: s["state"].update({0: None}), "parameter 0: .* must be a dict, got None"),
    "too large": (
        lambda s: s["state"][0].update(m=torch.full((2, 3), 1e300, dtype=torch.float64)),
        "'m' must fit into torch.float32, got 1e[+]300; go on in torch.float64",
    ),
    "more groups": (
        lambda s: s["param_groups"].append(s["param_groups"][0]),
        "must have 1 parameter groups, as the optimizer has, got 2; build",
    ),
    "more parameters": (
        lambda s: s["param_groups"][0]["params"].append(2),
        "group 0 must have 2 parameters, as the optimizer has, got 3 in",
    ),
    "no hyperparameter": (
        lambda s: s["param_groups"][0].pop("beta2"),
        "group 0: .* every hyperparameter of Adam, it lacks beta2",
    ),
    "wrong hyperparameter": (
        lambda s: s["param_groups"][0].update(beta2=1.0),
        r"group 0: beta2 must lie in \[0, 1\), got 1.0",
    ),
    "no rate": (
        lambda s: s["param_groups"][0].update(lr=None),
        "lr must be a finite number, got N",
    ),
    "no states": (lambda s: s.pop("state"), r"with 'state' and 'param_groups', .*\['param_groups'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_state_is_refused_and_nothing_has_changed(damage: str) -> None:
    spoil, message = DAMAGES[damage]
    saved = saved_by(Adam(lr=0.1))
    spoil(saved)
    thetas, optimizer = made(Adam(lr=0.5))
    train(thetas, optimizer, 1)
    before, given = everything(optimizer), repr(saved)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    assert everything(optimizer) == before
    assert repr(saved) == given


def test_what_is_no_state_dict_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a dict with .*, got \[\]"):
        made(Adam())[1].load_state_dict([])


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_a_state_that_lacks_any_part_is_refused(kind: type[Rule]) -> None:
    """Of every rule, every part in turn."""
    rule = kind(momentum=0.5) if kind is SGD else kind()
    saved = saved_by(rule)
    for name in saved["state"][0]:
        part = copy.deepcopy(saved)
        del part["state"][0][name]
        with pytest.raises(ValueError, match=f"parameter 0: .*'{name}'"):
            made(rule)[1].load_state_dict(part)
    made(rule)[1].load_state_dict(saved)


@pytest.mark.parametrize("saved_state", [None, {}, {"step": 0}], ids=["absent", "empty", "count 0"])
def test_parameter_that_never_had_a_gradient_starts_anew(saved_state: Any) -> None:
    """It has no state; the rest of the state is loaded."""
    saved = saved_by(Adam(lr=0.1))
    if saved_state is None:
        del saved["state"][1]
    else:
        saved["state"][1] = saved_state
    thetas, optimizer = made(Adam(lr=0.1))
    optimizer.load_state_dict(saved)
    train(thetas, optimizer, 1)
    assert [optimizer.state[theta]["step"] for theta in thetas] == [STEPS + 1, 1]
    fresh, other = made(Adam(lr=0.1))
    train(fresh, other, 1)
    assert torch.equal(thetas[1], fresh[1])


@pytest.mark.parametrize(
    ("rule", "changes"),
    [(Adam(), {"amsgrad": True}), (SGD(), {"momentum": 0.5}), (RMSprop(), {"centered": True})],
    ids=repr,
)
def test_state_is_saved_whole_after_a_hyperparameter_has_changed(
    rule: Rule, changes: dict[str, Any]
) -> None:
    """What the rule keeps from then on is in the state, and what it kept before may be."""
    thetas, optimizer = made(rule)
    train(thetas, optimizer)
    for values in (changes, {name: getattr(rule, name) for name in changes}):
        optimizer.param_groups[0].update(values)
        made(rule)[1].load_state_dict(optimizer.state_dict())


def test_count_may_be_a_tensor() -> None:
    """As torch's own optimizers have it; it goes on as an int."""
    saved = saved_by(Adam())
    saved["state"][0]["step"] = torch.tensor(float(STEPS))
    thetas, optimizer = made(Adam())
    optimizer.load_state_dict(saved)
    assert repr(optimizer.state[thetas[0]]["step"]) == repr(STEPS)


def test_parameters_are_matched_by_name() -> None:
    """Exchanged between saving and loading, each goes on from its own state."""
    saved = saved_by(Adam(lr=1.0), names=("a", "b"))
    thetas, optimizer = made(Adam(lr=1.0), names=("b", "a"))
    optimizer.load_state_dict(saved)
    assert torch.equal(optimizer.state[thetas[0]]["m"], saved["state"][1]["m"])
    assert torch.equal(optimizer.state[thetas[1]]["v"], saved["state"][0]["v"])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["b", "a"]
    whole, unbroken = made(Adam(lr=1.0), names=("a", "b"))
    train(whole, unbroken)
    for theta, its_own in zip(thetas, reversed(whole), strict=True):
        theta.data.copy_(its_own)
    train(whole, unbroken, 1)
    for theta, its_own in zip(thetas, reversed(whole), strict=True):
        theta.grad = its_own.grad
    optimizer.step()
    assert torch.equal(thetas[0], whole[1])
    assert torch.equal(thetas[1], whole[0])


def test_names_that_are_not_the_same_are_refused() -> None:
    """The message has the name, and the way to load by order."""
    saved = saved_by(Adam(), names=("a", "b"))
    thetas, optimizer = made(Adam(), names=("a", "c"))
    with pytest.raises(ValueError, match=r"has no 'c'; .* not the optimizer's: \['b'\]. Rename"):
        optimizer.load_state_dict(saved)
    del saved["param_groups"][0]["param_names"]
    optimizer.load_state_dict(saved)
    assert optimizer.state[thetas[1]]["step"] == STEPS


def test_messages_have_the_name_of_the_parameter() -> None:
    saved = saved_by(Adam(), names=("a", "b"))
    del saved["state"][1]["v"]
    with pytest.raises(ValueError, match=r"parameter 1 \('b'\): .*'v' is missing"):
        made(Adam(), names=("a", "b"))[1].load_state_dict(saved)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_float32_state_beside_half_precision_keeps_its_digits(dtype: str) -> None:
    """Loaded, stepped on, saved and loaded again; 0.1 is no number of either dtype."""
    saved = saved_by(Adam(lr=0.1))
    saved["state"][0]["m"].fill_(0.1)
    half, single = (made(Adam(lr=0.1), dtype=getattr(torch, d)) for d in (dtype, "float32"))
    for thetas, optimizer in (half, single):
        optimizer.load_state_dict(saved)
        assert torch.equal(optimizer.state[thetas[0]]["m"], saved["state"][0]["m"])
        train(thetas, optimizer, 2)
    for theirs, ours in zip(single[0], half[0], strict=True):
        assert torch.equal(single[1].state[theirs]["m"], half[1].state[ours]["m"])
    thetas, optimizer = made(Adam(lr=0.1), dtype=getattr(torch, dtype))
    optimizer.load_state_dict(half[1].state_dict())
    assert torch.equal(optimizer.state[thetas[0]]["m"], half[1].state[half[0][0]]["m"])


def test_state_of_half_precision_stays_as_it_was_saved() -> None:
    saved = saved_by(Adam(lr=0.1), dtype=torch.bfloat16)
    thetas, optimizer = made(Adam(lr=0.1), dtype=torch.bfloat16)
    optimizer.load_state_dict(saved)
    assert optimizer.state[thetas[0]]["m"].dtype == torch.bfloat16


def test_loaded_state_shares_no_memory_with_its_source() -> None:
    saved = saved_by(Adam())
    thetas, optimizer = made(Adam())
    optimizer.load_state_dict(saved)
    before = saved["state"][0]["m"].clone()
    train(thetas, optimizer, 1)
    assert torch.equal(saved["state"][0]["m"], before)


def test_hooks_of_users_may_mend_what_is_loaded() -> None:
    """What they give is what is checked; their later hooks see the loaded state."""
    saved = saved_by(Adam())
    for state in saved["state"].values():
        state["first"] = state.pop("m")
    thetas, optimizer = made(Adam())

    def mend(_: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
        states = copy.deepcopy(state_dict["state"])
        for state in states.values():
            state["m"] = state.pop("first")
        return {**state_dict, "state": states}

    seen: list[Any] = []
    optimizer.register_load_state_dict_pre_hook(mend)
    optimizer.register_load_state_dict_post_hook(
        lambda loaded: seen.append(dict(loaded.state[thetas[0]]))
    )
    optimizer.load_state_dict(saved)
    assert torch.equal(seen[0]["m"], saved["state"][0]["first"])


NATIVES = {  # of torch.optim, and what is said of each: its name, its rule, one of its states
    "Adam": ("torch.optim.Adam;", "Adam(lr=0.001)", "'m' for 'exp_avg'"),
    "AdamW": ("AdamW or torch.optim.Adam;", "decay=Decay.DECOUPLED", "'v' for 'exp_avg_sq'"),
    "SGD": ("torch.optim.SGD;", "SGD(lr=0.001)", "'b' for 'momentum_buffer'"),
    "RMSprop": ("torch.optim.RMSprop;", "RMSprop(lr=0.01, rho=0.99)", "'v' for 'square_avg'"),
    "Adamax": ("torch.optim.Adamax;", "epsilon_at=Epsilon.INSIDE", "'u' for 'exp_inf'"),
    "RAdam": ("torch.optim.RAdam;", "RAdam(", "'m' for 'exp_avg'"),
    "NAdam": ("torch.optim.NAdam;", "NAdam(", "'P' for 'mu_product'"),
    "Adagrad": ("torch.optim.Adagrad;", "Adagrad(", "'G' for 'sum'"),
    "Adadelta": ("torch.optim.Adadelta;", "Adadelta(", "'u' for 'acc_delta'"),
    "Rprop": ("torch.optim.Rprop;", "Rprop(", "'h' for 'prev'"),
    "ASGD": ("torch.optim.ASGD;", "ASGD(", "'a' for 'ax'"),
    "Adafactor": ("torch.optim.Adafactor;", "Adafactor(", "'r' for 'row_var'"),
    "Muon": ("torch.optim.Muon;", "Muon(", "'m' for 'momentum_buffer'"),
}


@pytest.mark.parametrize("name", NATIVES)
def test_state_of_a_native_is_told_from_ours(name: str) -> None:
    """The message names it, says where it can be loaded, and which rule takes its steps."""
    thetas = [torch.nn.Parameter(torch.ones(2, 3))]
    native = getattr(torch.optim, name)(thetas)
    train(thetas, native, 2)
    with pytest.raises(ValueError, match="of samestep, got a native's") as refusal:
        Optimizer(thetas, Adam()).load_state_dict(native.state_dict())
    for text in NATIVES[name]:
        assert text in str(refusal.value)


def test_state_of_nothing_known_is_refused_too() -> None:
    state = {"state": {}, "param_groups": [{"params": [0], "lr": 0.1, "trust": 1.0}]}
    with pytest.raises(ValueError, match="groups name no rule; another optimizer saved it"):
        Optimizer([torch.nn.Parameter(torch.ones(2))], Adam()).load_state_dict(state)


def test_rules_that_move_other_shapes_otherwise_load_each_state() -> None:
    """Muon keeps one state of a matrix and two of a vector."""
    thetas = [torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 3), (3,))]
    optimizer = Optimizer(thetas, Muon())
    train(thetas, optimizer, 1)
    saved = copy.deepcopy(optimizer.state_dict())
    Optimizer(thetas, Muon()).load_state_dict(saved)
    saved["state"][0]["v"] = saved["state"][0]["m"]
    with pytest.raises(ValueError, match="parameter 0: Muon keeps 'step', 'm', got 'v' as well"):
        Optimizer(thetas, Muon()).load_state_dict(saved)
