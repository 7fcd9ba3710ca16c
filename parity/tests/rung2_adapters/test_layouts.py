"""Rung 2, PyTorch's compiled steps: what is asked of how tensors lie in memory before a trace may
take a step.
"""

from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, inductor, stepper, trace
from samestep.parity.tests.support.require import compiler
from samestep.reference import SGD

pytestmark = pytest.mark.rung(2)


@pytest.mark.parametrize("releases", [inductor.TESTED, ()], ids=["tested", "untested"])
def test_a_trace_is_for_tensors_that_are_laid_out_alike(
    releases: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in them; a release that is not tested is not asked for its own guard."""
    monkeypatch.setattr(inductor, "TESTED", releases)
    if not releases:
        monkeypatch.setattr(torch._C._dynamo.guards, "TensorGuards", None)
    holds = inductor.layout_guard([torch.ones(2, 3)])
    assert holds(torch.zeros(2, 3))
    for other in (torch.ones(3, 2), torch.ones(3, 2).T, torch.ones(2, 3, dtype=torch.float64)):
        assert not holds(other)


MEMORY = torch.zeros(16)
LYING = [  # tensors, and whether the memory of some of them overlaps, from first to last element
    ([MEMORY[:8], MEMORY[8:]], False),
    ([MEMORY[8:], MEMORY[:8]], False),
    ([MEMORY[:8], MEMORY[7:]], True),
    ([MEMORY[:4], MEMORY[4:9], MEMORY[8:]], True),
    ([MEMORY[:9], MEMORY[8:12], MEMORY[12:]], True),
    ([MEMORY.view(4, 4)[:, 0], MEMORY[12:]], True),
    ([MEMORY.view(4, 4)[:, 0], MEMORY[13:]], False),
    ([MEMORY[5], MEMORY[4:6]], True),
    ([MEMORY[:8], MEMORY[4:4], MEMORY[8:]], False),
]


@pytest.mark.parametrize(
    ("tensors", "shared"), LYING, ids=lambda value: str(value) if isinstance(value, bool) else ""
)
def test_tensors_that_overlap_are_told(tensors: Any, shared: bool) -> None:
    """By one element as well; an empty one lies nowhere."""
    assert stepper.share_memory(tensors) == shared


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="compiled steps need a C++ compiler; none was found")
def test_states_that_share_memory_step_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tensors do that overlap: no trace takes them."""
    monkeypatch.setattr(
        trace.Trace, "__call__", lambda *_: pytest.fail("a trace has taken the step")
    )
    ends = []
    for compiling in (True, False):
        tensors, memory = [torch.ones(160), torch.ones(160)], torch.zeros(240)
        optimizer = Optimizer(tensors, SGD(lr=0.5, momentum=0.5), compiled=compiling)
        for tensor, lent in zip(tensors, (memory[:160], memory[80:]), strict=True):
            optimizer.state[tensor].update(step=0, b=lent)
        for factor in (1.0, 2.0):
            for tensor in tensors:
                tensor.grad = torch.linspace(factor, 3, 160)
            optimizer.step()
        ends.append(torch.cat([*tensors, memory]))
    assert torch.equal(*ends)
