"""Where compiling a step fails, the line that is said and the way that is left depend on what is at
fault.
"""

from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, inductor, stepper
from samestep.parity.tests.support.require import compiler
from samestep.reference import SGD, Adam

pytestmark = pytest.mark.rung(2)

FAULTS = {
    "InvalidCxxCompiler: none\nand more": (
        "each",
        r"steps are eager, for no C\+\+ compiler works here: {}; install g",
    ),
    "CppCompileError: none\nand more": (
        "each",
        r"steps are eager, for no C\+\+ compiler works here: {}; install g",
    ),
    "no such operator\nand more": (
        "_publicly",
        "go by torch.compile, for the faster way failed: RuntimeError: {}$",
    ),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.partition("\n")[0])
def test_a_fault_is_told_by_its_first_line(fault: str) -> None:
    """Without a C++ compiler steps are eager; after any other fault the public compiler takes
    them.
    """
    way, told = FAULTS[fault]
    steps = stepper.Stepper(lambda *parts: None)
    inductor.warn_once.cache_clear()
    with pytest.warns(UserWarning, match=told.format(fault.partition("\n")[0])):
        assert steps._fall_back(RuntimeError(fault)) == getattr(steps, way)


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler; none was found")
@pytest.mark.filterwarnings("ignore:compiled steps go by torch.compile, for the faster way failed")
def test_after_a_fault_torch_compile_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, a single number's too, at a rate that changes, compiled once; gradients are
    left as they are.
    """

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(inductor, "_compile", fail)
    start = torch.linspace(1, 2, 9), torch.tensor(1.5)
    ends = []
    for how in (True, False):
        thetas = [torch.nn.Parameter(x.clone()) for x in start]
        optimizer = Optimizer(thetas, Adam(), compiled=how)
        for optimizer.param_groups[0]["lr"] in (0.5, 0.25):
            for theta, x in zip(thetas, start, strict=True):
                theta.grad = x - 1.25
            # monkeypatch would leave torch's configuration without this setting
            with torch._dynamo.config.patch(error_on_recompile=True):
                optimizer.step()
            assert [theta.grad.tolist() for theta in thetas] == [(x - 1.25).tolist() for x in start]
        states = [
            [value.tolist() for value in (state["m"], state["v"])]
            for state in optimizer.state.values()
        ]
        ends.append([[theta.tolist() for theta in thetas], states])
    assert ends[0] == ends[1]


def test_tensors_of_other_kinds_step_eagerly_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first step, whose compiling fails, is taken all the same, and once; later ones do not try
    again.
    """
    tried = []

    def fail(_: Any) -> None:
        tried.append(True)
        raise torch._dynamo.exc.BackendCompilerFailed(
            "inductor", RuntimeError("InvalidCxxCompiler: none"), None
        )

    monkeypatch.setattr(stepper, "PLAIN", ())
    inductor.warn_once.cache_clear()
    theta = torch.nn.Parameter(torch.ones(2))
    optimizer = Optimizer([theta], SGD(lr=0.25), compiled=True)
    optimizer._stepper.public = fail
    theta.grad = torch.ones(2)
    with pytest.warns(UserWarning, match=r"steps are eager, for no C\+\+ compiler works here"):
        optimizer.step()
    assert theta.tolist() == [0.75, 0.75]
    optimizer.step()
    assert theta.tolist() == [0.5, 0.5]
    assert tried == [True]
