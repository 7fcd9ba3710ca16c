"""torch's schedulers that move momentum move that of our rules, with the right numbers."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, stepper
from samestep.frameworks.pytorch.trace import Trace
from samestep.parity.runners.pytorch import claimed_rule
from samestep.parity.tests.support.require import compiler
from samestep.reference import SGD, Adagrad, Adam, Muon, NAdam, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler; none was found"
)
STEPS = 8
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.5, total_steps=STEPS),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(
        o, base_lr=0.1, max_lr=0.5, step_size_up=3
    ),
}
MOVED: list[tuple[Rule, str]] = [  # a rule, and its field that is moved
    (Adam(), "beta1"), (NAdam(), "beta1"), (SGD(momentum=0.5, nesterov=True), "momentum"),
    (SGD(), "momentum"), (RMSprop(), "momentum"),
]  # fmt: skip


def made(rule: Rule, **options: Any) -> tuple[list[Any], Any]:
    """Two parameters and their optimizer."""
    thetas = [torch.nn.Parameter(torch.linspace(-1, 1, size)) for size in (4, 3)]
    return thetas, Optimizer(thetas, rule, **options)


def give_gradients(thetas: list[Any], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for theta in thetas:
        theta.grad = torch.randn(theta.shape, generator=generator)


def scheduled(rule: Rule, scheduler: str, **options: Any) -> list[list[float]]:
    """Where a scheduler of torch's takes the parameters."""
    thetas, optimizer = made(rule, **options)
    schedule = SCHEDULERS[scheduler](optimizer)
    for step in range(STEPS - 1):
        give_gradients(thetas, step)
        optimizer.step()
        schedule.step()
    return [theta.tolist() for theta in thetas]


def stepped(rule: Rule, field: str, scheduler: str) -> list[list[float]]:
    """The same by a new rule for each step, whose numbers a native had under that scheduler."""
    native = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rule.lr, momentum=0.5)
    schedule = SCHEDULERS[scheduler](native)
    thetas, optimizer = made(rule)
    for step in range(STEPS - 1):
        (group,) = native.param_groups
        changed = rule.replace(lr=group["lr"], **{field: group["momentum"]})
        for ours in optimizer.param_groups:
            ours.update(changed.to_dict())
        give_gradients(thetas, step)
        optimizer.step()
        native.step()
        schedule.step()
    return [theta.tolist() for theta in thetas]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(("rule", "field"), MOVED, ids=repr)
def test_scheduler_moves_the_momentum_of_a_rule(rule: Rule, field: str, scheduler: str) -> None:
    """To the last bit as if each step had a rule with that momentum and rate."""
    assert scheduled(rule, scheduler) == stepped(rule, field, scheduler)


@needs_compiler
@pytest.mark.compiled
@pytest.mark.parametrize("rule", [Adam(), SGD(momentum=0.5)], ids=repr)
def test_compiled_steps_follow_the_momentum_without_a_new_trace(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trace for all steps, with the bits of eager ones."""
    traces: list[Any] = []

    def trace(*parts: Any) -> Any:
        traces.append(Trace(*parts))
        return traces[-1]

    monkeypatch.setattr(stepper, "Trace", trace)
    torch.compiler.reset()
    assert scheduled(rule, "OneCycleLR", compiled=True) == scheduled(rule, "OneCycleLR")
    assert len(traces) == 1


@needs_compiler
@pytest.mark.compiled
@pytest.mark.parametrize("rule", [Adam(), SGD(momentum=0.5)], ids=repr)
def test_public_compile_follows_the_momentum_without_a_new_trace(rule: Rule) -> None:
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    counter = CompileCounter()
    thetas, optimizer = made(rule)
    schedule = SCHEDULERS["OneCycleLR"](optimizer)
    step = torch.compile(optimizer.step, backend=counter)
    for t in range(STEPS - 1):
        give_gradients(thetas, t)
        step()
        schedule.step()
    assert counter.frame_count == 1
    assert [theta.tolist() for theta in thetas] == scheduled(rule, "OneCycleLR")


@pytest.mark.parametrize("way", ["step", "state_dict", "copy", "eval", "runner"])
def test_betas_and_the_two_numbers_agree_when_they_are_used(way: str) -> None:
    """Whichever was changed since they last agreed counts; each number by itself."""
    uses: dict[str, Callable[[Any], Any]] = {
        "step": lambda o: o.step(), "state_dict": lambda o: o.state_dict(),
        "copy": copy.deepcopy, "eval": lambda o: o.eval(), "runner": claimed_rule,
    }  # fmt: skip
    _, optimizer = made(Adam())
    (group,) = optimizer.param_groups
    assert type(group) is dict
    assert (group["beta1"], group["beta2"], group["betas"]) == (0.9, 0.999, (0.9, 0.999))
    changes: list[tuple[dict[str, Any], tuple[float, float]]] = [
        ({"betas": (0.5, 0.999)}, (0.5, 0.999)),
        ({"beta2": 0.75}, (0.5, 0.75)),
        ({"betas": [0.25, 0.5]}, (0.25, 0.5)),
        ({"betas": (0.125, 0.5), "beta2": 0.625}, (0.125, 0.625)),
        ({"betas": (0.25, 0.75), "beta1": 0.25, "beta2": 0.75}, (0.25, 0.75)),
    ]
    for changed, expected in changes:
        group.update(changed)
        uses[way](optimizer)
        assert (group["beta1"], group["beta2"]) == group["betas"] == expected


def test_number_that_is_set_to_two_values_takes_no_step() -> None:
    """Since either could be meant; when one of them is put right, steps go on."""
    thetas, optimizer = made(Adam())
    (group,) = optimizer.param_groups
    group.update(beta1=0.5, betas=(0.25, 0.999))
    give_gradients(thetas, 0)
    before = [theta.tolist() for theta in thetas]
    for use in (optimizer.step, optimizer.state_dict, lambda: copy.deepcopy(optimizer)):
        with pytest.raises(ValueError, match=r"got 0.5 in group\['beta1'\] and 0.25 in group\['b"):
            use()
    assert [theta.tolist() for theta in thetas] == before
    group["beta1"] = 0.25
    optimizer.step()
    assert group["betas"] == (0.25, 0.999)


def test_saved_betas_must_be_the_saved_numbers() -> None:
    """A state of an earlier version, without them, is loaded; after loading they are there."""
    _, optimizer = made(Adam(beta1=0.5))
    _, other = made(Adam())
    saved = copy.deepcopy(optimizer.state_dict())
    assert saved["param_groups"][0].pop("betas") == (0.5, 0.999)
    other.load_state_dict(saved)
    assert other.param_groups[0]["betas"] == (0.5, 0.999)
    saved["param_groups"][0].update(beta1=0.75, betas=(0.25, 0.999))
    with pytest.raises(ValueError, match=r"group 0: beta1 .* got 0.75 in .* and 0.25 in .*saved"):
        other.load_state_dict(saved)
    assert other.param_groups[0]["beta1"] == 0.5


@needs_compiler
@pytest.mark.compiled
@pytest.mark.parametrize("rule", [Adam(lr=0.5), SGD(lr=0.5, momentum=0.5)], ids=repr)
def test_compiled_function_of_a_user_changes_the_groups(rule: Rule) -> None:
    """torch's compiler reads the groups of an optimizer that the function uses."""

    def train(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            group["lr"] *= 0.5
        optimizer.step()

    torch.compiler.reset()
    compiled = torch.compile(train, backend="eager")
    (thetas, optimizer), (others, other) = made(rule), made(rule)
    for step in range(STEPS):
        give_gradients(thetas, step)
        give_gradients(others, step)
        compiled(optimizer)
        train(other)
    assert optimizer.param_groups[0]["lr"] == 0.5 * 0.5**STEPS
    assert [theta.tolist() for theta in thetas] == [theta.tolist() for theta in others]


def test_group_may_be_given_betas() -> None:
    """In torch's words; said twice, they must agree."""
    theta = torch.nn.Parameter(torch.ones(2))
    optimizer = Optimizer([{"params": [theta], "betas": (0.5, 0.75)}], Adam())
    assert optimizer.param_groups[0]["beta1"] == 0.5
    with pytest.raises(ValueError, match=r"must set beta1 once, got 0.25 and 0.5 in betas"):
        Optimizer([{"params": [theta], "betas": (0.5, 0.75), "beta1": 0.25}], Adam())
    with pytest.raises(ValueError, match=r"betas must be a pair such as .*, got 0.5"):
        Optimizer([{"params": [theta], "betas": 0.5}], Adam())


@pytest.mark.parametrize("way", ["copied", "loaded"])
def test_scheduler_goes_on_with_a_copied_or_loaded_optimizer(way: str) -> None:
    thetas, optimizer = made(Adam())
    schedule = SCHEDULERS["OneCycleLR"](optimizer)
    give_gradients(thetas, 0)
    optimizer.step()
    schedule.step()
    if way == "copied":
        resumed = copy.deepcopy(optimizer)
    else:
        _, resumed = made(Adam())
        resumed.load_state_dict(optimizer.state_dict())
    assert resumed.param_groups[0]["betas"] == optimizer.param_groups[0]["betas"]
    assert resumed.param_groups[0]["beta1"] == optimizer.param_groups[0]["betas"][0] != 0.9
    resumed.param_groups[0]["betas"] = (0.5, 0.75)
    resumed.step()
    assert resumed.param_groups[0]["beta1"] == 0.5


@pytest.mark.parametrize(
    ("rule", "name", "message"),
    [
        (Adagrad(), "momentum", "got 'momentum'; Adagrad has no momentum of that name: give its"),
        (Adam(), "momentum", "the momentum of Adam is beta1: set group"),
        (SGD(), "betas", "got 'betas'; SGD has no momentum of that name"),
        (Muon(), "betas", "got 'betas'; Muon has no momentum of that name"),
        (Adam(), "eps", "may set lr, .*epsilon.*, got 'eps'"),
    ],
)
def test_what_a_rule_does_not_have_cannot_be_moved(rule: Rule, name: str, message: str) -> None:
    """Else it would be without effect, and nobody would know."""
    theta = torch.nn.Parameter(torch.ones(2, 2))
    theta.grad = torch.ones(2, 2)
    optimizer = Optimizer([theta], rule)
    saved = copy.deepcopy(optimizer.state_dict())
    for group in (optimizer.param_groups[0], saved["param_groups"][0]):
        group[name] = 0.5
    for use in (optimizer.step, optimizer.state_dict):
        with pytest.raises(ValueError, match=message):
            use()
    assert theta.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(ValueError, match=f"parameter group 0: .*{message}"):
        Optimizer([theta], rule).load_state_dict(saved)


def test_rule_without_momentum_is_refused_by_the_scheduler_itself() -> None:
    """With the option that switches it off."""
    with pytest.raises(ValueError, match="must support momentum or beta1 with `cycle_momentum`"):
        SCHEDULERS["OneCycleLR"](made(Adagrad())[1])


def test_number_out_of_range_takes_no_step() -> None:
    """Nor counts one, in a group before it."""
    (a, b), _ = made(Adam())
    optimizer = Optimizer([{"params": [a]}, {"params": [b]}], Adam())
    give_gradients([a, b], 0)
    optimizer.step()
    optimizer.param_groups[1]["betas"] = (1.0, 0.999)
    before = a.tolist()
    with pytest.raises(ValueError, match=r"beta1 must lie in \[0, 1\), got 1.0"):
        optimizer.step()
    assert a.tolist() == before
    assert optimizer.state[a]["step"] == 1
