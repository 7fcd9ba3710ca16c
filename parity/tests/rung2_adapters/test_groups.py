"""Parameter groups of the PyTorch adapter differ, and go on differing: copied, saved, loaded,
changed and compiled.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, recorded
from samestep.frameworks.pytorch import optimizer as module
from samestep.parity.tests.support.require import compiler
from samestep.reference import SGD, Adam, Decay, Muon, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler; none was found"
)
COMPILED = pytest.param(True, marks=[pytest.mark.compiled, needs_compiler], id="compiled")
# others before and after
SPECIAL: list[dict[str, Any]] = [{}, {"lr": 0.25, "weight_decay": 0.5, "maximize": True}, {}]
LATER: list[tuple[Rule, dict[str, Any]]] = [  # what a group switches on after some steps
    (SGD(lr=1.0), {"momentum": 0.5}), (RMSprop(lr=1.0), {"centered": True}),
    (Adam(lr=1.0), {"amsgrad": True}),
]  # fmt: skip


def made(rule: Rule, groups: list[dict[str, Any]] = SPECIAL, dtype: Any = None, **how: Any) -> Any:
    """An optimizer of a tensor a group."""
    given = [
        {"params": [torch.nn.Parameter(torch.linspace(1, 2, 4, dtype=dtype))], **group}
        for group in groups
    ]
    return Optimizer(given, rule, **how)


def take(optimizer: Any, steps: int = 1) -> list[list[float]]:
    """Where some steps take its tensors."""
    tensors = [theta for group in optimizer.param_groups for theta in group["params"]]
    for _ in range(steps):
        for theta in tensors:
            theta.grad = torch.linspace(-1, 1, 4, dtype=theta.dtype)
        optimizer.step()
    return [theta.tolist() for theta in tensors]


def loaded(optimizer: Any) -> Any:
    """Another of the same tensors that has loaded its state."""
    other = made(Adam(lr=0.1), [{}] * len(optimizer.param_groups))
    for ours, theirs in zip(other.param_groups, optimizer.param_groups, strict=True):
        ours["params"][0].data.copy_(theirs["params"][0].data)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return other


WAYS: dict[str, Callable[[Any], Any]] = {
    "copied": copy.deepcopy, "pickled": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
    "loaded": loaded,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_groups_go_on_as_they_were(way: str) -> None:
    """Each at its own rate, decay and sign, before and after; three steps and two are five."""
    once, twice = made(Adam(lr=0.1)), made(Adam(lr=0.1))
    take(twice, 3)
    assert take(WAYS[way](twice), 2) == take(once, 5)


def test_group_takes_what_it_does_not_set_from_the_rule() -> None:
    """Not from the group before it; one step of each by hand."""
    ends = take(made(SGD(lr=1.0, weight_decay=1.0), [{}, {"lr": 0.5, "weight_decay": 0.0}, {}]))
    assert ends[0] == ends[2] != ends[1]
    assert ends[0][0] == 1 - 1.0 * (-1 + 1.0 * 1)
    assert ends[1][0] == 1 - 0.5 * -1


def test_group_takes_a_rule_as_its_options() -> None:
    """What the group sets beside the rule wins; a rule of another class is refused."""
    groups = [{}, {"rule": Adam(lr=0.5, beta1=0.25)}, {"rule": Adam(lr=0.5), "lr": 0.125}]
    optimizer = made(Adam(lr=0.1), groups)
    chosen = [(group["rule"], group["lr"], group["beta1"]) for group in optimizer.param_groups]
    assert chosen == [("Adam", 0.1, 0.9), ("Adam", 0.5, 0.25), ("Adam", 0.125, 0.9)]
    separate = [made(Adam(**numbers), [{}]) for numbers in (
        {"lr": 0.1}, {"lr": 0.5, "beta1": 0.25}, {"lr": 0.125}
    )]  # fmt: skip
    assert take(optimizer, 3) == [take(each, 3)[0] for each in separate]
    with pytest.raises(ValueError, match=r"must be Adam, as the optimizer's, got SGD\(lr=0.5\)"):
        made(Adam(), [{"rule": SGD(lr=0.5)}])
    with pytest.raises(ValueError, match="make another optimizer for those parameters"):
        made(Adam(), [{"rule": "SGD"}])


def test_state_of_another_dtype_is_taken_over() -> None:
    """A float64 run goes on in float32, from its step and moments."""
    wide, narrow = made(Adam(lr=0.1), dtype=torch.float64), made(Adam(lr=0.1))
    take(wide, 3)
    saved = copy.deepcopy(wide.state_dict())
    narrow.load_state_dict(saved)
    for index, group in enumerate(narrow.param_groups):
        state = narrow.state[group["params"][0]]
        assert state["step"] == 3
        for name in ("m", "v"):
            assert torch.equal(state[name], saved["state"][index][name].float())
            assert state[name].dtype == torch.float32


@pytest.mark.parametrize("compiled", [pytest.param(False, id="eager"), COMPILED])
@pytest.mark.parametrize(("rule", "changes"), LATER, ids=lambda value: str(value))
def test_what_a_group_keeps_from_a_later_step_on_begins_then(
    rule: Rule, changes: dict[str, Any], compiled: bool
) -> None:
    """As before a first step; the rest of its state, and the group before it, go on."""
    optimizer, usual = made(rule, [{}, {}], compiled=compiled), made(rule.replace(**changes), [{}])
    take(optimizer)
    (before,), (after,), (theta,) = (
        group["params"] for group in [*optimizer.param_groups, *usual.param_groups]
    )
    start = module._begin({}, theta, rule.replace(**changes))
    kept = {name: value.clone() for name, value in optimizer.state[after].items() if name != "step"}
    usual.state[theta] = {**start, **kept, "step": 1}
    theta.data.copy_(after)
    optimizer.param_groups[1].update(changes)
    assert kept.keys() < start.keys() - {"step"}
    assert take(optimizer, 2)[1] == take(usual, 2)[0]
    assert optimizer.state[before].keys() == {"step", *kept}


def test_what_a_group_keeps_begins_after_loading_as_well() -> None:
    """A state that has none of it is loaded by an optimizer whose group had it."""
    without, optimizer = made(Adam(lr=0.1), [{}]), made(Adam(lr=0.1), [{"amsgrad": True}])
    for each in (without, optimizer):
        take(each)
    optimizer.load_state_dict(copy.deepcopy(without.state_dict()))
    for each in (without, optimizer):
        each.param_groups[0]["amsgrad"] = True
    assert take(optimizer, 2) == take(without, 2)


def test_momentum_that_is_switched_on_is_that_of_torch() -> None:
    """Whose SGD goes on, too."""
    theirs = torch.nn.Parameter(torch.linspace(1, 2, 4))
    ours, native = made(SGD(lr=0.5), [{}]), torch.optim.SGD([theirs], lr=0.5)
    for momentum in (0.0, 0.25, 0.25):
        ours.param_groups[0]["momentum"] = native.param_groups[0]["momentum"] = momentum
        assert take(ours)[0] == take(native)[0]


def test_rate_that_is_a_tensor_may_be_changed_in_place() -> None:
    """As torch's own schedulers do."""
    optimizer = made(SGD(), [{"lr": torch.tensor(1.0)}])
    take(optimizer)
    optimizer.param_groups[0]["lr"].mul_(0.5)
    assert take(optimizer)[0][0] == 1 + 1.0 + 0.5


def test_scaled_gradients_are_unscaled_before_a_step() -> None:
    """By torch's GradScaler, which leaves it to no optimizer that does not say so."""
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    theta = torch.nn.Parameter(torch.ones(2))
    optimizer = Optimizer([theta], SGD(lr=0.5))
    scaler.scale(theta.sum()).backward()
    scaler.step(optimizer)
    assert theta.tolist() == [0.5, 0.5]


def test_transposed_gradient_of_a_large_tensor_steps_like_its_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not cut as if its elements lay in the order of the tensor's."""
    monkeypatch.setattr(recorded, "LARGEST_PIECE", 8)
    ends, transposed = [], torch.arange(24.0).reshape(4, 6).T
    for gradient in (transposed, transposed.contiguous()):
        theta = torch.nn.Parameter(torch.zeros(6, 4))
        theta.grad = gradient
        Optimizer([theta], SGD(lr=1.0)).step()
        ends.append(theta.tolist())
    assert ends[0] == ends[1]


@pytest.mark.compiled
@needs_compiler
@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (Adam(lr=0.1), {"weight_decay": 0.5}),
        (Adam(lr=0.1), {"maximize": True}),
        (SGD(), {"decay": "DECOUPLED"}),
    ],
    ids=lambda value: str(value),
)
def test_change_of_a_later_group_shows_in_compiled_steps(
    rule: Rule, changes: dict[str, Any]
) -> None:
    """Between two steps, as in eager ones; the first group stays as it is."""
    rule, ends = rule.replace(weight_decay=0.25) if "decay" in changes else rule, []
    for compiled in (True, False):
        optimizer = made(rule, [{}, {}], compiled=compiled)
        take(optimizer)
        optimizer.param_groups[1].update(
            {k: Decay[v] if k == "decay" else v for k, v in changes.items()}
        )
        ends.append(take(optimizer))
    assert ends[0] == ends[1]
    assert ends[0][0] != ends[0][1]


@pytest.mark.compiled
@needs_compiler
def test_change_of_a_count_shows_in_compiled_steps() -> None:
    """Muon's iterations: another number is another trace, so steps are far nearer to those that
    iterate as often.
    """
    ends = []
    for compiled, counts in ((True, (3, 9)), (False, (3, 9)), (False, (3, 3))):
        theta = torch.nn.Parameter(torch.eye(3))
        optimizer = Optimizer([theta], Muon(lr=0.5), compiled=compiled)
        for optimizer.param_groups[0]["ns_steps"] in counts:
            theta.grad = torch.diag(torch.tensor([1.0, 0.5, 0.25]))
            optimizer.step()
        ends.append(theta.detach())
    found, right, stale = ends
    assert 100 * (found - right).norm() < (found - stale).norm()
