"""PyTorch's default: steps that go over from eager to compiled by themselves have the same bits."""

import copy
import functools
import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep import SEARCH_PATH
from samestep.frameworks.pytorch import Optimizer, inductor, tiered
from samestep.frameworks.pytorch.tiers import VARIABLE, Expected, Notes, Tier
from samestep.parity.measure import cases
from samestep.parity.tests.support import bits
from samestep.parity.tests.support.require import compiler
from samestep.reference import LAMB, SGD, Adam, NAdam, Rule, dialects

pytestmark = [
    pytest.mark.rung(2),
    pytest.mark.compiled,
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler was found"),
    pytest.mark.skipif(not inductor.tested(), reason="other releases of torch stay eager"),
]
SHAPES = ((17, 3), (5,), (), (40,))
SWITCH = 2  # eager steps before the switch, unless a test says otherwise


@pytest.fixture(autouse=True)
def _set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    switch_after(SWITCH, monkeypatch)


def switch_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every set of tensors take so many eager steps, by a clock that ticks when it is read."""
    ticks = itertools.count()
    decision = functools.partial(Tier, clock=lambda: float(next(ticks)))
    monkeypatch.setattr(tiered, "Tier", decision)
    monkeypatch.setattr(Notes, "expected", lambda *_: Expected(float(steps)))
    monkeypatch.setattr(Notes, "add", lambda *_: None)


def made(rule: Rule, compiled: bool | None, shapes: Any = SHAPES) -> tuple[list[Any], Optimizer]:
    """Parameters, the same at every call, and their optimizer."""
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    return tensors, Optimizer(tensors, rule, compiled=compiled)


def give(optimizer: Optimizer, t: int, *resting: int) -> None:
    """Gradients of step t; the parameters numbered in ``resting`` get none."""
    generator = torch.Generator().manual_seed(100 + t)
    tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    for index, tensor in enumerate(tensors):
        gradient = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        tensor.grad = None if index in resting else gradient


def content(optimizer: Optimizer) -> list[Any]:
    """Bits of all parameters and states, and the step numbers."""
    values: list[Any] = []
    for group in optimizer.param_groups:
        for tensor in group["params"]:
            state = optimizer.state.get(tensor, {})
            values.append(bits.as_numpy(tensor).tobytes())
            values += [
                (name, x if name == "step" else bits.as_numpy(x).tobytes())
                for name, x in sorted(state.items())
            ]
    return values


def both_ways(work: Callable[[Optimizer], Any], rule: Rule, shapes: Any = SHAPES) -> Optimizer:
    """Do the work with the default and eagerly; the same must come out. Gives the default one."""
    optimizers = [made(rule, compiled, shapes)[1] for compiled in (None, False)]
    results = [work(optimizer) or optimizer for optimizer in optimizers]
    assert content(results[0]) == content(results[1])
    return results[0]


def is_compiled(optimizer: Optimizer) -> bool:
    """Whether the last step was a compiled one."""
    return optimizer.how().startswith("compiled, after")


@pytest.mark.parametrize("call", bits.CALLS)
def test_every_rule_has_the_bits_of_numpy_across_the_switch(
    call: str, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen steps at a falling rate, the sixth and all that follow compiled."""
    if not full and call not in cases.SHARE:
        pytest.skip("left to tox -e parity-full")
    switch_after(5, monkeypatch)
    rule = dialects.read(call)
    start, gradients, rates = bits.setting(rule, "float32")
    tensors = [torch.nn.Parameter(bits.as_torch(x)) for x in start]
    optimizer = Optimizer(tensors, rule)
    ways = []
    for step in range(bits.STEPS):
        optimizer.param_groups[0]["lr"] = rates[step]
        for tensor, gradient in zip(tensors, gradients[step], strict=True):
            tensor.grad = bits.as_torch(gradient)
        optimizer.step()
        ways.append(is_compiled(optimizer))
    assert ways == [False] * 5 + [True] * (bits.STEPS - 5)
    states = [optimizer.state[p][k] for p in tensors for k in sorted(optimizer.state[p])]
    arrays = [*tensors, *(x for x in states if torch.is_tensor(x))]
    actual = [bits.as_numpy(tensor) for tensor in arrays]
    expected = bits.in_numpy(rule, start, gradients, rates)
    assert list(bits.different_bits(expected, actual)) == []


@pytest.mark.parametrize("steps", range(5))
def test_the_switch_may_come_at_any_step(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five; parameters and states have the bits of eager steps after each of them."""
    switch_after(steps, monkeypatch)
    optimizers = [made(Adam(amsgrad=True), compiled)[1] for compiled in (None, False)]
    for t in range(5):
        for optimizer in optimizers:
            give(optimizer, t)
            optimizer.step()
        assert content(optimizers[0]) == content(optimizers[1])
        assert is_compiled(optimizers[0]) == (t >= steps), optimizers[0].how()


def test_gradients_may_be_missing_in_some_steps() -> None:
    """Each set of tensors has a switch of its own, after as many eager steps."""
    ways = []

    def work(optimizer: Optimizer) -> None:
        for t, resting in enumerate([(), (1,), (), (1,), (), (1,), (0, 1, 2, 3), ()]):
            give(optimizer, t, *resting)
            optimizer.step()
            ways.append(is_compiled(optimizer))

    both_ways(work, Adam())
    assert ways[:8] == [False] * 4 + [True] * 4


def test_groups_may_be_added() -> None:
    """Before the switch and after it, with hyperparameters of their own."""

    def work(optimizer: Optimizer) -> None:
        for t in range(8):
            if t in (1, 5):
                new = torch.nn.Parameter(torch.linspace(-1, 1, 7))
                optimizer.add_param_group({"params": [new], "beta1": 0.5, "lr": 0.1})
            give(optimizer, t)
            optimizer.step()

    assert is_compiled(both_ways(work, Adam()))


def test_states_may_be_loaded() -> None:
    """Of a step before the switch, after it."""

    def work(optimizer: Optimizer) -> None:
        saved: Any = None
        for t in range(6):
            if t == 1:
                saved = copy.deepcopy(optimizer.state_dict())
            if t == 4:
                optimizer.load_state_dict(saved)
            give(optimizer, t)
            optimizer.step()

    assert is_compiled(both_ways(work, Adam()))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("when", [1, 4])
def test_a_copy_goes_on_by_itself(copied: Any, when: int) -> None:
    """Made before the switch or after it; it begins eagerly and has a switch of its own."""
    ways = []

    def work(optimizer: Optimizer) -> Optimizer:
        for t in range(8):
            if t == when:
                optimizer = copied(optimizer)
            give(optimizer, t)
            optimizer.step()
            ways.append(is_compiled(optimizer))
        return optimizer

    both_ways(work, NAdam())
    before = [t >= SWITCH for t in range(when)]
    assert ways[:8] == before + [t >= SWITCH for t in range(8 - when)]


@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_may_be_zeroed_and_hooks_and_schedulers_surround_the_step(to_none: bool) -> None:
    """With a closure, a learning rate that changes, and a hook that counts."""
    counts: list[int] = []

    def work(optimizer: Optimizer) -> None:
        optimizer.register_step_post_hook(lambda *_: counts.append(1))
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        tensors = optimizer.param_groups[0]["params"]

        def closure() -> Any:
            optimizer.zero_grad(set_to_none=to_none)
            loss = sum((tensor**2).sum() for tensor in tensors)
            loss.backward()
            return loss

        for _ in range(6):
            optimizer.step(closure)
            scheduler.step()

    assert is_compiled(both_ways(work, SGD(momentum=0.9)))
    assert len(counts) == 12


def test_memory_may_be_replaced_without_compiling_anew() -> None:
    """A switch belongs to layouts, not to addresses."""

    def work(optimizer: Optimizer) -> None:
        for t in range(5):
            for tensor in optimizer.param_groups[0]["params"]:
                tensor.data = tensor.data.clone()
            give(optimizer, t)
            optimizer.step()

    optimizer = both_ways(work, Adam())
    assert len(optimizer._tiered.traces) == 1


def test_tensors_that_share_memory_stay_eager() -> None:
    """A trace might move them in any order."""
    ends = []
    for compiled in (None, False):
        base = torch.linspace(1, 2, 320)
        optimizer = Optimizer([base[:240], base[80:]], SGD(lr=0.5), compiled=compiled)
        for _ in range(SWITCH + 2):
            for tensor, number in zip(optimizer.param_groups[0]["params"], (1.0, 2.0), strict=True):
                tensor.grad = torch.full_like(tensor, number)
            optimizer.step()
        ends.append((base, optimizer.how()))
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1] == "eager, for some tensors share memory"


def test_tensors_of_other_kinds_stay_eager() -> None:
    """As they did before there was a switch; what lies behind them nobody knows here."""
    other = type("OtherKind", (torch.Tensor,), {})
    tensors = [torch.ones(3), torch.ones(3).as_subclass(other)]
    optimizer = Optimizer(tensors, SGD(lr=0.5))
    for _ in range(SWITCH + 2):
        for tensor in tensors:
            tensor.grad = torch.ones_like(tensor)
        optimizer.step()
    assert optimizer.how() == "eager, for some tensors are of a class of their own"
    assert [tensor.tolist() for tensor in tensors] == [[-1.0] * 3] * 2


def test_what_torch_compile_traces_has_no_switch() -> None:
    """It is compiled once, whatever the number of steps; eager steps may come between."""

    def work(optimizer: Optimizer) -> None:
        step: Any = optimizer.step
        if optimizer.compiled is None:
            step = torch.compile(optimizer.step, isolate_recompiles=True)
        for t in range(2 * SWITCH + 2):
            give(optimizer, t)
            with torch._dynamo.config.patch(error_on_recompile=t > 1):
                step()
        for t in range(SWITCH + 2):
            give(optimizer, t)
            optimizer.step()

    assert is_compiled(both_ways(work, Adam(), ((5,), (2, 3))))


def test_less_is_expected_as_soon_as_another_optimizer_has_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loading the compiler is a large part of the first time."""
    loaded: list[int] = []
    monkeypatch.setattr(inductor, "is_loaded", lambda: bool(loaded))
    monkeypatch.setattr(Notes, "expected", lambda *x: Expected(100.0 if x[2] else 2.0))
    _, optimizer = made(Adam(), None)
    ways = []
    for t in range(6):
        loaded += [t] * (t == 4)
        give(optimizer, t)
        optimizer.step()
        ways.append(is_compiled(optimizer))
    assert ways == [False] * 4 + [True] * 2


def test_true_and_false_force_one_way() -> None:
    """Whatever the clock says; what was asked for is said."""
    for compiled, how in ((True, "compiled, for compiled=True says so"),
                          (False, "eager, for compiled=False says so")):  # fmt: skip
        _, optimizer = made(SGD(), compiled)
        give(optimizer, 0)
        optimizer.step()
        assert (optimizer.how(), "_tiered" in vars(optimizer)) == (how, False)


@pytest.mark.parametrize("value", ["0", "1", ""])
def test_the_environment_switches_it_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every optimizer that was not told which way to go."""
    monkeypatch.setenv(VARIABLE, value)
    _, optimizer = made(SGD(), None)
    for t in range(SWITCH + 1):
        give(optimizer, t)
        optimizer.step()
    off = f"eager, for the environment variable {VARIABLE} is 0"
    assert (optimizer.how() == off) == (value == "0")
    assert is_compiled(optimizer) == (value != "0")


def test_an_untested_torch_stays_eager_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors here."""
    monkeypatch.setattr(inductor, "TESTED", ("1.0",))
    _, optimizer = made(SGD(), None)
    for t in range(SWITCH + 1):
        give(optimizer, t)
        optimizer.step()
    version = torch.__version__
    assert optimizer.how() == f"eager, for compiled steps are not tested with torch {version}"


def child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with warnings to users shown."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-W", "always::UserWarning", "-c", code],
        cwd=SEARCH_PATH, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(SEARCH_PATH), **environment},
    )  # fmt: skip


TRAINING = """
import torch
from samestep.frameworks.pytorch import Optimizer
from samestep.frameworks.pytorch.tiers import Expected, Notes
from samestep.reference import Adam
Notes.expected = lambda *_: Expected(0.0)
ends = []
for compiled in (None, False):
    tensor = torch.nn.Parameter(torch.linspace(1, 2, 9))
    optimizer = Optimizer([tensor], Adam(), compiled=compiled)
    for _ in range(4):
        tensor.grad = torch.linspace(0, 1, 9)
        optimizer.step()
    ends.append((tensor, optimizer.how()))
print(torch.equal(ends[0][0], ends[1][0]), ends[0][1])
"""


FORKED = """
import itertools, os, sys, torch
from samestep.frameworks.pytorch import Optimizer
from samestep.frameworks.pytorch.tiers import Expected, Notes
from samestep.reference import Adam
torch.set_num_threads(1)
Notes.expected = lambda *_: Expected(0.0)
tensors = [torch.nn.Parameter(torch.linspace(1, 2, 9)) for _ in range(2)]
optimizers = [Optimizer([x], Adam(), compiled=how) for x, how in zip(tensors, (None, False))]

def step():
    for tensor, optimizer in zip(tensors, optimizers):
        tensor.grad = torch.linspace(0, 1, 9)
        optimizer.step()
    print(torch.equal(*tensors), optimizers[0].how().partition(" eager steps")[0], flush=True)

step()
if not (child := os.fork()):
    step()
    os._exit(0)
os.waitpid(child, 0)
step()
"""


def test_a_forked_process_stays_eager() -> None:
    """A compiled step's threads were not forked, so it is not called; the parent's goes on."""
    assert child(FORKED).stdout.splitlines() == [
        "True compiled, after 0",
        "True eager, for a forked process does not compile",
        "True compiled, after 0",
    ]


@pytest.mark.parametrize("compiler", ["none", "/bin/false"])
def test_without_a_compiler_steps_stay_eager(compiler: str, tmp_path: Path) -> None:
    """One that is not there, and one that fails; without a warning."""
    done = child(TRAINING, CXX=compiler, TORCHINDUCTOR_CACHE_DIR=str(tmp_path), PATH="/nowhere")
    reason = "there is no C++ compiler" if compiler == "none" else "compiling failed: "
    assert done.stdout.startswith(f"True eager, for {reason}"), done.stdout
    assert done.stderr == ""


def test_a_cache_folder_that_cannot_be_written_leaves_steps_eager(tmp_path: Path) -> None:
    """One that has become a file after torch was loaded, which needs one; without a warning."""
    folder = tmp_path / "cache"
    spoil = f"import pathlib; folder = pathlib.Path({str(folder)!r})\n" + (
        "import shutil; shutil.rmtree(folder); folder.write_text('')\n"
    )
    before, after = TRAINING.split("ends = []")
    code = f"{before}{spoil}ends = []{after}"
    done = child(code, TORCHINDUCTOR_CACHE_DIR=str(folder))
    assert done.stdout.startswith("True eager, for compiling failed: "), done.stdout
    assert done.stderr == ""


LOADER = """
import torch
from samestep.frameworks.pytorch import Optimizer
from samestep.frameworks.pytorch.tiers import Expected, Notes
from samestep.reference import Adam
torch.set_num_threads(1)
Notes.expected = lambda *_: Expected(0.0)
data = torch.utils.data.TensorDataset(torch.linspace(0, 1, 8).view(8, 1))
ends, ways = [], []
for compiled in (None, False):
    theta = torch.nn.Parameter(torch.ones(1, 3))
    optimizer = Optimizer([theta], Adam(), compiled=compiled)
    for _ in range(2):
        loader = torch.utils.data.DataLoader(
            data, batch_size=2, num_workers=2, multiprocessing_context="fork"
        )
        for (x,) in loader:
            optimizer.zero_grad()
            (x * theta).square().sum().backward()
            optimizer.step()
    ends.append(theta)
    ways.append(optimizer.how().partition(",")[0])
print(torch.equal(*ends), ways)
"""


def test_workers_of_a_loader_may_be_forked_before_and_after_the_switch() -> None:
    """Each epoch forks new ones."""
    assert child(LOADER).stdout == "True ['compiled', 'eager']\n"


def test_lamb_s_tensors_that_are_alike_are_compiled_once_at_the_switch() -> None:
    """As with compiled=True."""

    def work(optimizer: Optimizer) -> None:
        for t in range(4):
            give(optimizer, t)
            optimizer.step()

    optimizer = both_ways(work, LAMB(), ((4, 3), (4, 3), (5,)))
    assert len(optimizer._tiered.traces) == 2


def test_what_compiling_took_is_noted_beside_the_cache(tmp_path: Path) -> None:
    """By a process that has switched, and expected by the next one."""
    code = """
import torch
from samestep.frameworks.pytorch import Optimizer
from samestep.frameworks.pytorch import tiers
from samestep.reference import SGD
tiers.SECONDS = dict.fromkeys(tiers.SECONDS, 0.0)
tensor = torch.nn.Parameter(torch.linspace(1, 2, 9))
optimizer = Optimizer([tensor], SGD())
expected = []
for _ in range(tiers.WATCHED + 2):
    tensor.grad = torch.linspace(0, 1, 9)
    optimizer.step()
    expected.append(optimizer._tiered.tier.expected)
print(expected[0].step > 0, optimizer.how().startswith("compiled, after"))
"""
    printed = [child(code, TORCHINDUCTOR_CACHE_DIR=str(tmp_path)).stdout for _ in range(2)]
    assert printed == ["False True\n", "True True\n"]
    names = sorted(path.name for path in (tmp_path / "samestep" / "SGD").iterdir())
    assert (len(names), names[-1]) == (2, "latest.json")


def test_where_warnings_are_errors_compiling_goes_on() -> None:
    """torch's own, about what it loads, are not the user's."""
    code = "import torch, warnings" + TRAINING.replace(
        "ends = []", "warnings.simplefilter('error')\nends = []"
    )
    assert child(code).stdout.startswith("True compiled, after 0")
