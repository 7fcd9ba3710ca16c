"""Rung 2, PyTorch's compiled steps: the bits of NumPy, whatever changes between two steps."""

import copy
import itertools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep import SEARCH_PATH
from samestep.frameworks.pytorch import Optimizer, inductor, stepper, trace
from samestep.frameworks.pytorch.optimizer import apply_move, moves_of
from samestep.parity.measure import cases
from samestep.parity.tests.support import bits
from samestep.parity.tests.support.require import LEFT_OUT, compiler
from samestep.reference import LAMB, SGD, Adafactor, Adam, Muon, Rule, dialects

pytestmark = [
    pytest.mark.rung(2),
    pytest.mark.compiled,
    pytest.mark.skipif(
        compiler() is None, reason="compiled steps need a C++ compiler; none was found"
    ),
    pytest.mark.skipif(
        not inductor.tested(),
        reason=f"the faster way is for torch {', '.join(inductor.TESTED)}; others go by "
        "public functions",
    ),
]
SHAPES = ((17, 3), (5,), (), (40,))


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """A fall back would warn, once a process, which fails a test: let it warn in the next one,
    too.
    """
    inductor.warn_once.cache_clear()
    yield
    inductor.warn_once.cache_clear()


class Pair:
    """The same tensors under two optimizers of one rule, compiled and eager, which get the same
    gradients.
    """

    def __init__(self, rule: Rule, *groups: dict[str, Any], shapes: Any = SHAPES) -> None:
        self.sides = []
        for compiling in (True, False):
            generator = torch.Generator().manual_seed(1)
            tensors = [
                torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes
            ]
            each = (
                [{"params": [t], **group} for t, group in zip(tensors, groups, strict=True)]
                if groups
                else tensors
            )
            self.sides.append((tensors, Optimizer(each, rule, compiled=compiling)))
        self.fast: Any = self.sides[0][1]
        self.t = 0

    def step(self, *resting: int) -> None:
        """One step of both; the tensors numbered in ``resting`` get no gradient."""
        self.t += 1
        for tensors, optimizer in self.sides:
            generator = torch.Generator().manual_seed(100 + self.t)
            for index, tensor in enumerate(tensors):
                gradient = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
                tensor.grad = None if index in resting else gradient
            given = [None if tensor.grad is None else tensor.grad.clone() for tensor in tensors]
            optimizer.step()
            untouched = [
                x is tensor.grad or torch.equal(tensor.grad, x)
                for tensor, x in zip(tensors, given, strict=True)
            ]
            assert all(untouched), f"step {self.t} writes to a gradient: {untouched}"

    def check(self) -> None:
        """Equal bits in tensors and states, equal step numbers."""
        (ours, fast), (theirs, slow) = self.sides
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert torch.equal(a, b), f"tensor {index} after step {self.t}: {a} against {b}"
            for name, value in slow.state[b].items():
                same = fast.state[a][name] == value
                assert same if name == "step" else same.all(), (
                    f"{name} of tensor {index} after step {self.t}"
                )

    def steps(self, count: int, *resting: int) -> None:
        """So many steps, checked."""
        for _ in range(count):
            self.step(*resting)
            self.check()


EVERY_DTYPE = [
    cases.PLAIN[name][-1] for name in cases.EVERYDAY
]  # every day; of other calls float32 and another
ANOTHER = dict(zip(bits.CALLS, itertools.cycle(["float64", "bfloat16", "float16"]), strict=False))


@pytest.mark.parametrize("call", bits.CALLS)
def test_step_has_the_bits_of_numpy(call: str, full: bool) -> None:
    """Tensors of several dtypes and shapes in one trace, parameters and state, fourteen steps at a
    falling rate.
    """
    if not full and call not in cases.SHARE:
        pytest.skip(LEFT_OUT)
    rule = dialects.read(call)
    chosen = (
        bits.DTYPES
        if call in (cases.SHARE if full else EVERY_DTYPE)
        else ("float32", ANOTHER[call])
    )
    settings = {dtype: bits.setting(rule, dtype) for dtype in chosen}
    tensors = {
        dtype: [torch.nn.Parameter(bits.as_torch(x)) for x in start]
        for dtype, (start, *_) in settings.items()
    }
    optimizer = Optimizer(
        [tensor for some in tensors.values() for tensor in some], rule, compiled=True
    )
    for step in range(bits.STEPS):
        for dtype, (_, gradients, rates) in settings.items():
            optimizer.param_groups[0]["lr"] = rates[step]
            for tensor, gradient in zip(tensors[dtype], gradients[step], strict=True):
                tensor.grad = bits.as_torch(gradient)
        optimizer.step()
    for dtype, some in tensors.items():
        states = [
            optimizer.state[p][k] for p in some for k in sorted(optimizer.state[p]) if k != "step"
        ]
        actual = [bits.as_numpy(tensor) for tensor in [*some, *states]]
        differences = list(bits.different_bits(bits.in_numpy(rule, *settings[dtype]), actual))
        assert not differences, (
            f"{rule!r} in {dtype}: {len(differences)} elements differ; first: {differences[0]}"
        )
    assert [type(each) for each in optimizer._stepper.traces.values()] == [trace.Trace]


def test_tensors_rest_and_groups_differ() -> None:
    """Sets of tensors change from step to step; each set is traced once, and a tensor counts its
    own steps.
    """
    pair = Pair(Adam(), {"lr": 0.1}, {"lr": 0.2, "beta1": 0.5}, {"weight_decay": 0.1}, {})
    for resting in ((), (1,), (0, 2), (), (1,), (0, 2), (0, 1, 2, 3)):
        pair.steps(1, *resting)
    assert len(pair.fast._stepper.traces) == 3


def test_further_sets_are_stepped_tensor_by_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every set of tensors gets a trace: beyond some, traces are those of single tensors."""
    monkeypatch.setattr(stepper, "SETS", 1)
    pair = Pair(SGD(momentum=0.9), shapes=((3,), (3,), (4,)))
    for resting in ((), (0,), (1,), (2,), ()):
        pair.steps(1, *resting)
    assert sorted(len(key[1]) for key in pair.fast._stepper.traces) == [1, 1, 3]


def test_tensors_that_are_alike_share_a_trace_under_rules_that_tie_elements() -> None:
    """The others are traced together. Which those are may change from step to step."""
    pair = Pair(LAMB(), shapes=((6, 4), (5,), (6, 4), (3, 2), (5,), (6, 4)))
    for resting in ((), (0, 1), (), (0, 1, 2, 3, 4)):
        pair.steps(1, *resting)
    forms = [len(key[1]) for key in pair.fast._stepper.traces]
    assert forms == [1, 1, 1, 2], (
        "a matrix and a vector; the one matrix apart; that and a vector without its like"
    )


def test_many_matrices_under_muon_are_compiled_once() -> None:
    """A trace of its products takes seconds; and the bits are those of one matrix in an optimizer
    of its own.
    """
    generator = torch.Generator().manual_seed(1)
    values = [torch.randn(4, 6, generator=generator) for _ in range(20)]
    together, apart = ([torch.nn.Parameter(value.clone()) for value in values] for _ in range(2))
    optimizers = [
        Optimizer(some, Muon(), compiled=True)
        for some in (together, *[[parameter] for parameter in apart[:3]])
    ]
    for _ in range(2):
        for parameter, value in zip([*together, *apart], [*values, *values], strict=True):
            parameter.grad = value.flip(0)
        for optimizer in optimizers:
            optimizer.step()
    assert [torch.equal(a, b) for a, b in zip(together[:3], apart[:3], strict=True)] == [True] * 3
    assert [len(key[1]) for key in optimizers[0]._stepper.traces] == [1], (
        "one trace, and of one matrix"
    )


def test_numbers_of_the_rule_may_change_without_a_new_trace() -> None:
    """As schedulers change momentum; what changes the arithmetic itself is traced anew."""
    pair = Pair(SGD(momentum=0.9, weight_decay=0.5))
    for momentum in (0.8, 0.7, 0.0, 0.6):
        for _, optimizer in pair.sides:
            optimizer.param_groups[0].update(momentum=momentum, weight_decay=momentum / 2)
        pair.steps(2)
    assert len(pair.fast._stepper.traces) == 2


@pytest.mark.parametrize("call", bits.CALLS)
def test_rules_of_one_form_have_one_arithmetic(call: str) -> None:
    """A rule's numbers reach what is traced as coefficients alone, but for being zero or their
    default.
    """
    rule = dialects.read(call)
    code = traced(rule)
    for name, value in rule.to_dict().items():
        other = [
            rule.replace(**{name: x})
            for x in (0.37, 1.37)
            if isinstance(value, float) and allowed(rule, name, x)
        ]
        for changed in other:
            if trace.rule_form(changed) == trace.rule_form(rule):
                assert traced(changed) == code, f"{rule!r} with {name}={getattr(changed, name)}"


def allowed(rule: Rule, name: str, value: float) -> bool:
    """Whether the hyperparameter may have the value."""
    try:
        return bool(rule.replace(**{name: value}))
    except ValueError:
        return False


def traced(rule: Rule) -> str:
    """The arithmetic of one step of a matrix, as PyTorch traces it."""
    from torch.fx.experimental.proxy_tensor import make_fx

    tensor = torch.ones(2, 3)
    optimizer = Optimizer([tensor], rule)
    tensor.grad = torch.ones(2, 3)
    optimizer.step()
    arrays = [value for name, value in optimizer.state[tensor].items() if name != "step"]
    c = rule.coefficients(1, rule.lr)
    state = {name: value for name, value in optimizer.state[tensor].items() if name != "step"}
    move = trace.Move(tensor, tensor.grad, state, rule, c)
    arguments = [tensor, *arrays, tensor.grad, torch.zeros(len(c))]
    return str(
        make_fx(lambda *x: trace.step_together(apply_move, [move], [torch.float32], *x))(
            *arguments
        ).code
    )


def test_saved_state_is_loaded_between_steps() -> None:
    """A compiled state is an eager one."""
    pair = Pair(Adam(amsgrad=True))
    pair.steps(2)
    (_, fast), (_, slow) = pair.sides
    states = [copy.deepcopy(optimizer.state_dict()) for optimizer in (fast, slow)]
    for optimizer, state in zip((slow, fast), states, strict=True):
        optimizer.load_state_dict(state)
    pair.steps(2)
    assert len(fast._stepper.traces) == 1


def test_a_deep_copy_is_compiled_and_has_a_state_of_its_own() -> None:
    """The copy compiles anew."""
    pair = Pair(Adam())
    pair.steps(1)
    twin = copy.deepcopy(pair.fast)
    pair.steps(1)
    assert twin.compiled
    assert [state["step"] for state in twin.state.values()] == [1] * len(SHAPES)
    for tensor, original in zip(twin.param_groups[0]["params"], pair.sides[1][0], strict=True):
        tensor.grad = original.grad
    twin.step()
    for tensor, original in zip(twin.param_groups[0]["params"], pair.sides[1][0], strict=True):
        assert torch.equal(tensor, original)


@pytest.mark.parametrize(
    "change",
    [torch.clone, lambda x: x.t().contiguous().t(), torch.Tensor.double],
    ids=["memory", "layout", "dtype"],
)
def test_a_parameter_s_data_may_be_replaced(change: Any) -> None:
    """By other memory, another layout, another dtype."""
    pair = Pair(SGD(momentum=0.9), shapes=((17, 3), (4, 6)))
    pair.steps(2)
    for tensors, optimizer in pair.sides:
        tensors[0].grad = None
        tensors[0].data = change(tensors[0].data)
        optimizer.state[tensors[0]]["b"] = change(optimizer.state[tensors[0]]["b"])
    pair.steps(2)


@pytest.mark.parametrize(
    "change", [torch.t, lambda x: x[:, :1].expand(4, 4)], ids=["turned", "repeated"]
)
def test_a_gradient_may_lie_in_memory_otherwise(change: Any) -> None:
    """From one step to the next, while all that is written stays where it is."""
    ends = []
    for compiling in (True, False):
        tensor = torch.zeros(4, 4, requires_grad=True)
        optimizer = Optimizer([tensor], SGD(lr=0.5, momentum=0.5), compiled=compiling)
        for alter in (torch.clone, torch.clone, change, torch.clone):
            tensor.grad = alter(torch.arange(16.0).reshape(4, 4))
            optimizer.step()
        ends.append(tensor.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    "own", [False, True], ids=["gradients apart", "gradient of its own memory"]
)
def test_tensors_that_share_memory_step_one_after_another(
    own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two views that overlap; a gradient that is a parameter.

    No trace takes them: its loops may come in any order.
    """
    monkeypatch.setattr(
        trace.Trace, "__call__", lambda *_: pytest.fail("a trace has taken the step")
    )
    ends = []
    for compiling in (True, False):
        base = torch.linspace(1, 2, 320)
        tensors = [base[:160], base[160:]] if own else [base[:240], base[80:]]
        optimizer = Optimizer(tensors, SGD(lr=0.5, weight_decay=0.5), compiled=compiling)
        for _ in range(3):  # with one gradient for both it would not matter which steps first
            tensors[0].grad, tensors[1].grad = (
                torch.ones_like(tensors[0]),
                tensors[0] if own else torch.full((240,), 2.0),
            )
            optimizer.step()
        ends.append(base)
    assert torch.equal(*ends)


def test_tensors_of_other_kinds_are_left_to_torch_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """One among plain ones, too: what lies behind it nobody knows here."""
    monkeypatch.setattr(stepper, "Trace", lambda *_: pytest.fail("it is traced"))
    other_kind, ends = type("OtherKind", (torch.Tensor,), {}), []
    for compiling in (True, False):
        tensors = [torch.linspace(-1, 1, 9), torch.linspace(-1, 1, 9).as_subclass(other_kind)]
        optimizer = Optimizer(tensors, Adam(lr=0.1), compiled=compiling)
        for _ in range(2):
            for tensor in tensors:
                tensor.grad = torch.ones_like(tensor)
            optimizer.step()
        ends.append(torch.stack([tensor.as_subclass(torch.Tensor) for tensor in tensors]))
    assert torch.equal(*ends)


def test_closure_scheduler_and_hooks_are_those_of_torch() -> None:
    """What surrounds a step does not know that it is compiled."""
    seen: list[int] = []
    ends = []
    for compiling in (True, False):
        tensor = torch.nn.Parameter(torch.linspace(-1, 1, 9))
        optimizer = Optimizer([tensor], Adam(lr=0.1), compiled=compiling)
        optimizer.register_step_post_hook(lambda *_: seen.append(1))
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def closure(optimizer: Any = optimizer, tensor: Any = tensor) -> Any:
            optimizer.zero_grad()
            loss = (tensor**2).sum()
            loss.backward()
            return loss

        losses = []
        for _ in range(3):
            losses.append(optimizer.step(closure))
            scheduler.step()
        ends.append(torch.stack([*tensor, *losses]))
    assert torch.equal(*ends)
    assert len(seen) == 6


def test_autograd_sees_that_a_step_has_written() -> None:
    """A graph from before the step cannot be used after it."""
    tensor = torch.nn.Parameter(torch.ones(3))
    optimizer = Optimizer([tensor], SGD(), compiled=True)
    loss = (tensor**2).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("rule", [Adam(amsgrad=True), LAMB(), Adafactor()], ids=repr)
def test_a_warm_step_allocates_no_more_than_it_keeps(rule: Rule) -> None:
    """By torch's own trajectory; elementwise rules allocate nothing at all. Adafactor keeps rows
    and columns alone: it is held to it where tensors are alike, so that they share what a step
    needs."""
    shapes = [(64, 96)] * 2 if isinstance(rule, Adafactor) else [(64, 96), (500,)]
    tensors = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = Optimizer(tensors, rule, compiled=True)
    for tensor in tensors:
        tensor.grad = torch.full_like(tensor, 0.5)
    optimizer.step()
    kept = [
        *tensors,
        *(x for state in optimizer.state.values() for x in state.values() if torch.is_tensor(x)),
    ]
    peak = most_allocated(optimizer.step)
    assert peak <= sum(x.nbytes for x in kept)
    assert isinstance(rule, LAMB | Adafactor) or peak == 0
    eager = Optimizer([torch.nn.Parameter(tensor.detach().clone()) for tensor in tensors], rule)
    for tensor, twin in zip(tensors, eager.param_groups[0]["params"], strict=True):
        twin.grad = tensor.grad
    eager.step()

    def allocating_step() -> None:
        with torch.no_grad():
            for move in moves_of(eager):
                apply_move(*move)

    assert most_allocated(allocating_step) > 0, "the trajectory must see what a step allocates"


def most_allocated(step: Any) -> int:
    """Bytes that torch holds at the worst moment of a step beyond what it held before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the profiler's own, about itself
        with torch.profiler.profile(profile_memory=True) as profile:
            step()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_under_another_release_public_functions_compile_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one line that says so, and the same bits, though nothing is checked: each set of tensors
    has its trace.
    """
    monkeypatch.setattr(inductor, "TESTED", ("1.0",))
    pair = Pair(Adam(), shapes=((5,), (), (2, 3)))
    pair.sides[0][0][2].data, pair.sides[1][0][2].data = (side[0][2].data.T for side in pair.sides)
    with pytest.warns(
        UserWarning, match=r"^compiled steps go by public functions: .* with torch \d[^\n]*$"
    ):
        pair.steps(1)
    for resting in ((), (1,), (0, 2), ()):
        pair.steps(1, *resting)
    assert [type(each) for each in pair.fast._stepper.traces.values()] == [trace.Trace] * 3


@pytest.mark.parametrize("release", [*inductor.TESTED, "1.0"])
def test_without_a_compiler_steps_are_eager(tmp_path: Path, release: str) -> None:
    """With one line that says so, and the same bits, by the fast way and by the public one."""
    code = f"""
import torch
from samestep.frameworks.pytorch import Optimizer, inductor
from samestep.reference import Adam
inductor.TESTED = ({release!r},)
ends = []
for compiling in (True, False):
    tensor = torch.nn.Parameter(torch.linspace(1, 2, 9))
    optimizer = Optimizer([tensor], Adam(), compiled=compiling)
    for _ in range(2):
        tensor.grad = torch.linspace(0, 1, 9)
        optimizer.step()
    ends.append(tensor)
print(torch.equal(*ends), [state["step"] for state in optimizer.state.values()])
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], cwd=SEARCH_PATH, capture_output=True,
        text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(SEARCH_PATH), "CXX": "none",
         "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "True [2]\n"
    assert done.stderr.count("UserWarning: steps are eager, for no C++ compiler works here: ") == 1
