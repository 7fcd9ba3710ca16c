"""The PyTorch adapter is a true ``torch.optim.Optimizer``."""

import copy
import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer
from samestep.frameworks.pytorch import optimizer as module
from samestep.parity.tests.support.require import compiler
from samestep.reference import SGD, Adadelta, Adagrad, Adam, NAdam, RMSprop, Rule

pytestmark = pytest.mark.rung(2)

RULES = [
    SGD(lr=0.1, momentum=0.9), Adagrad(initial_accumulator=0.1), RMSprop(centered=True),
    Adam(amsgrad=True), NAdam(),
]  # fmt: skip
needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler; none was found"
)


def parameters(count: int = 2, dtype: Any = torch.float32) -> list[Any]:
    """Fresh parameters, the same at every call."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.nn.Parameter(torch.randn(3, 2, generator=generator, dtype=dtype))
        for _ in range(count)
    ]


def give_gradients(params: list[Any], step: int) -> None:
    """Gradients that depend on the step alone."""
    generator = torch.Generator().manual_seed(100 + step)
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator, dtype=param.dtype)


def train(
    params: list[Any], optimizer: Any, steps: range, after: Callable[[], Any] = lambda: None
) -> None:
    """Steps with those gradients; ``after`` each of them."""
    for step in steps:
        give_gradients(params, step)
        optimizer.step()
        after()


def equal(a: list[Any], b: list[Any]) -> bool:
    """Whether all tensors have equal bits."""
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_is_a_torch_optimizer() -> None:
    """What takes an optimizer takes ours."""
    assert isinstance(Optimizer(parameters(), Adam()), torch.optim.Optimizer)


def test_it_compiles_nothing_in_a_few_steps() -> None:
    """Compiling takes seconds; what has been lost without it is said."""
    optimizer = Optimizer(parameters(), Adam())
    train(optimizer.param_groups[0]["params"], optimizer, range(4))
    assert optimizer._tiered.traces == {}
    assert optimizer.how().startswith("eager")


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_scheduled_step_equals_the_step_of_a_rule_with_that_rate(rule: Rule) -> None:
    """A scheduler's rate has the same bits as the rule's own."""
    ours, twin = parameters(), parameters()
    optimizer = Optimizer(ours, rule)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    other = Optimizer(twin, rule)
    for step in range(4):
        other.load_state_dict({**Optimizer(parameters(),
         rule.replace(lr=rule.lr * 0.5**step)).state_dict(),
                               "state": copy.deepcopy(other.state_dict()["state"])})  # fmt: skip
        for params, each in ((ours, optimizer), (twin, other)):
            train(params, each, range(step, step + 1))
        scheduler.step()
    assert equal(ours, twin)


def test_learning_rate_may_be_a_tensor() -> None:
    """As torch allows."""
    ours, twin = parameters(), parameters()
    optimizer, other = Optimizer(ours, SGD(lr=0.5)), Optimizer(twin, SGD(lr=0.25))
    optimizer.param_groups[0]["lr"] = torch.tensor(0.25)
    train(ours, optimizer, range(2))
    train(twin, other, range(2))
    assert equal(ours, twin)


def test_groups_have_hyperparameters_of_their_own() -> None:
    """A group that sets weight_decay and lr steps as a rule with both."""
    a, b = parameters()
    rule = Adam(lr=0.1, weight_decay=0.5)
    train(
        [a, b],
        Optimizer([{"params": [a]}, {"params": [b], "weight_decay": 0.0, "lr": 0.01}], rule),
        range(3),
    )
    c, d = parameters()
    first, second = Optimizer([c], rule), Optimizer([d], Adam(lr=0.01))
    for step in range(3):
        give_gradients([c, d], step)
        first.step()
        second.step()
    assert equal([a, b], [c, d])
    assert not equal([a], [b])


OWN: list[tuple[Rule, dict[str, Any]]] = [
    (Adam(), {"beta1": 0.5, "beta2": 0.75, "epsilon": 0.1, "maximize": True, "weight_decay": 0.1,
     "amsgrad": True,
              "epsilon_at": "HAT"}),
    (SGD(momentum=0.5),
     {"momentum": 0.9, "dampening": 0.5, "maximize": True, "buffer": "STEPS", "weight_decay": 0.1}),
    (Adagrad(), {"initial_accumulator": 0.5, "lr_decay": 0.5, "epsilon": 0.1}),
    (Adadelta(), {"rho": 0.5, "epsilon": 0.1}),
    (RMSprop(), {"rho": 0.5, "centered": True, "momentum": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "own"), OWN, ids=lambda value: repr(value)[:20])
def test_group_may_differ_in_everything(rule: Rule, own: dict[str, Any]) -> None:
    """Each hyperparameter set on a group acts in that group alone."""
    for name, value in {**own, "lr": 0.5}.items():
        (a, b), (c, d) = parameters(), parameters()
        both = Optimizer([{"params": [a]}, {"params": [b], name: value}], rule)
        one, two = Optimizer([c], rule), Optimizer([d], rule.replace(**{name: value}))
        for step in range(3):
            for params in ([a, b], [c, d]):
                give_gradients(params, step)
            both.step()
            one.step()
            two.step()
        assert equal([a, b], [c, d]), name


def test_unknown_name_in_a_group_is_refused() -> None:
    """torch's own name for epsilon would otherwise be ignored in silence."""
    with pytest.raises(ValueError, match=r"may set rule, lr, .*, got 'eps'"):
        Optimizer([{"params": parameters(1), "eps": 0.1}], Adam())


@needs_compiler
@pytest.mark.compiled
def test_compiled_groups_have_rates_of_their_own_and_resting_tensors_rest() -> None:
    """What holds eagerly holds compiled."""
    torch.compiler.reset()
    (a, b), (c, d) = parameters(), parameters()
    groups = [{"params": [p], "lr": rate} for p, rate in ((a, 0.1), (b, 0.2))]
    compiled, eager = (
        Optimizer(groups, Adam()),
        [Optimizer([c], Adam(lr=0.1)), Optimizer([d], Adam(lr=0.2))],
    )
    step = torch.compile(compiled.step)
    for t in range(3):
        give_gradients([a, b], t)
        give_gradients([c, d], t)
        if t == 1:
            b.grad = d.grad = None
        step()
        for each in eager:
            each.step()
    assert equal([a, b], [c, d])
    assert [compiled.state[param]["step"] for param in (a, b)] == [3, 2]


def test_hyperparameter_may_change_between_steps() -> None:
    """A group is read at every step."""
    (a,), (b,) = parameters(1), parameters(1)
    optimizer = Optimizer([a], SGD(lr=0.1))
    train([a], optimizer, range(1))
    train([b], Optimizer([b], SGD(lr=0.1)), range(1))
    optimizer.param_groups[0]["weight_decay"] = 0.5
    train([a], optimizer, range(1, 2))
    train([b], Optimizer([b], SGD(lr=0.1, weight_decay=0.5)), range(1, 2))
    assert equal([a], [b])


def test_saved_hyperparameters_win_as_in_torch() -> None:
    """Loading a state brings its groups' hyperparameters."""
    rule = Adam(beta1=0.5, weight_decay=0.1)
    whole, parts = parameters(1, torch.float64), parameters(1, torch.float64)
    train(whole, Optimizer(whole, rule), range(2))
    before, after = Optimizer(parts, rule), Optimizer(parts, Adam())
    train(parts, before, range(1))
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    train(parts, after, range(1, 2))
    assert equal(whole, parts)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_state_survives_saving_without_pickle(rule: Rule) -> None:
    """Interrupted by torch.save and torch.load(weights_only=True), training goes on with the same
    bits.
    """
    whole, parts = parameters(), parameters()
    train(whole, Optimizer(whole, rule), range(6))
    before = Optimizer(parts, rule)
    train(parts, before, range(3))
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after = Optimizer(parts, rule)
    after.load_state_dict(torch.load(file, weights_only=True))
    train(parts, after, range(3, 6))
    assert equal(whole, parts)


def test_optimizer_survives_a_deep_copy() -> None:
    """The copy has a state of its own."""
    params = parameters()
    optimizer = Optimizer(params, Adam())
    train(params, optimizer, range(2))
    twin = copy.deepcopy(optimizer)
    train(params, optimizer, range(2, 4))
    assert [state["step"] for state in twin.state.values()] == [2, 2]


def test_state_of_another_rule_is_refused() -> None:
    """Loading Adam's state into RMSprop says what must hold."""
    params = parameters()
    with pytest.raises(ValueError, match=r"must belong to \['RMSprop'\], got \['Adam'\]"):
        Optimizer(params, RMSprop()).load_state_dict(Optimizer(params, Adam()).state_dict())


def test_closure_runs_with_gradients_enabled_and_its_result_comes_back() -> None:
    """As torch's own step."""
    (param,) = parameters(1)
    optimizer = Optimizer([param], SGD(lr=0.1))

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    before = param.detach().clone()
    loss = optimizer.step(closure)
    assert loss == (before**2).sum()
    assert torch.equal(param, before - torch.tensor(0.1) * (2 * before))


def test_closure_runs_once() -> None:
    """Not twice."""
    (param,) = parameters(1)
    calls: list[int] = []
    param.grad = torch.zeros_like(param)
    Optimizer([param], SGD()).step(lambda: calls.append(1))
    assert calls == [1]


def test_tensor_without_a_gradient_rests_and_its_step_does_not_advance() -> None:
    """A late tensor takes its first step as a first step."""
    early, late = parameters()
    optimizer = Optimizer([early, late], Adam())
    resting = late.detach().clone()
    give_gradients([early], 0)
    optimizer.step()
    assert torch.equal(late, resting)
    train([early, late], optimizer, range(1, 2))
    assert [optimizer.state[param]["step"] for param in (early, late)] == [2, 1]
    twin = torch.nn.Parameter(resting.clone())
    twin.grad = late.grad.clone()
    Optimizer([twin], Adam()).step()
    assert torch.equal(late, twin)


def test_tensors_may_be_at_any_step_in_any_order() -> None:
    """A tensor that rested stands before one that did not, and after it."""
    params, twins = parameters(3), parameters(3)
    optimizer, others = Optimizer(params, Adam()), [Optimizer([twin], Adam()) for twin in twins]
    for resting in ((0, 2), (2,), ()):
        give_gradients(params, len(resting))
        for index, (param, twin, other) in enumerate(zip(params, twins, others, strict=True)):
            twin.grad = param.grad = None if index in resting else param.grad
            other.step()
        optimizer.step()
    assert equal(params, twins)
    assert [optimizer.state[param]["step"] for param in params] == [2, 3, 1]


def test_gradients_and_states_are_not_touched_by_a_step() -> None:
    """No buffer aliases a gradient, no gradient is written to."""
    params = parameters()
    for rule in RULES:
        optimizer = Optimizer(params, rule)
        for t in range(3):
            give_gradients(params, t)
            before = [param.grad.clone() for param in params]
            optimizer.step()
            assert equal([param.grad for param in params], before), repr(rule)
            held = {id(value) for state in optimizer.state.values() for value in state.values()}
            assert not held & {id(param.grad) for param in params}, repr(rule)


def test_sparse_gradient_sums_its_duplicates_and_warns_once() -> None:
    """The step is that of the dense sum."""
    module._warn_sparse.cache_clear()
    sparse, dense = parameters(1), parameters(1)
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ours, twin = Optimizer(sparse, Adam()), Optimizer(dense, Adam())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for rows in (
            [0, 0, 2],
            [1, 1, 2],
            [0, 1, 0],
        ):  # rows that get no gradient move on by their mean
            sparse[0].grad = torch.sparse_coo_tensor(
                torch.tensor([rows]), values, (3, 2), check_invariants=False
            )
            dense[0].grad = sparse[0].grad.to_dense()
            ours.step()
            twin.step()
    assert equal(sparse, dense)
    assert [str(w.message) for w in caught if "dense" in str(w.message)] == [
        "sparse gradients are made dense, duplicate indices summed"
    ]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_parameters_must_be_real(dtype: Any) -> None:
    """Complex and whole numbers are refused by name."""
    with pytest.raises(ValueError, match=f"must be real floating-point tensors, got {dtype}"):
        Optimizer([torch.zeros(2, dtype=dtype)], SGD())


def test_rule_must_be_a_rule() -> None:
    """A number in its place is refused by name."""
    with pytest.raises(ValueError, match=r"must be a rule such as .*, got 0.1"):
        Optimizer(parameters(), 0.1)


def test_hyperparameter_of_a_group_is_checked() -> None:
    """A group out of range is refused, and not kept."""
    optimizer = Optimizer(parameters(1), Adam())
    with pytest.raises(ValueError, match=r"beta2 must lie in \[0, 1\), got 1.0"):
        optimizer.add_param_group({"params": parameters(1), "beta2": 1.0})
    assert len(optimizer.param_groups) == 1


def test_transposed_parameter_steps_like_its_copy() -> None:
    """Layout in memory changes nothing."""
    base = parameters(1)[0].detach()
    strided, plain = torch.nn.Parameter(base.T), torch.nn.Parameter(base.T.contiguous())
    assert not strided.is_contiguous()
    for param in (strided, plain):
        train([param], Optimizer([param], Adam()), range(3))
    assert torch.equal(strided, plain)


@needs_compiler
@pytest.mark.compiled
def test_one_trace_serves_every_step_and_learning_rate() -> None:
    """Compiled once, the step is not traced again for another t or lr."""
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    params, counter = parameters(), CompileCounter()
    optimizer = Optimizer(params, Adam())
    step = torch.compile(optimizer.step, backend=counter)
    for t in range(6):
        give_gradients(params, t)
        optimizer.param_groups[0]["lr"] = 0.1 / (t + 1)
        step()
    assert counter.frame_count == 1
