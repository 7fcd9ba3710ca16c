"""A training step that is compiled as a whole: where it cannot be, and by public functions."""

import contextlib
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, inductor, trace
from samestep.frameworks.pytorch.compiled_training import CompiledTrainingStep
from samestep.parity.tests.support.require import compiler
from samestep.reference import Adam

pytestmark = pytest.mark.rung(5)


def made(*devices: str) -> Any:
    """A step of tensors on these devices."""
    thetas = [torch.nn.Parameter(torch.ones(3, device=device)) for device in devices]

    def training_step(step: Any, thetas: Any) -> None:
        step([torch.ones(3) for _ in thetas])

    return CompiledTrainingStep(Optimizer(thetas, Adam()), thetas, training_step)


@pytest.mark.parametrize("devices", [("meta",), ("cpu", "meta")], ids=" and ".join)
def test_another_device_than_the_cpu_is_refused(devices: tuple[str, ...]) -> None:
    """One such tensor is enough."""
    with pytest.raises(ValueError, match="steps are compiled as a whole on the CPU alone"):
        made(*devices)


@pytest.mark.compiled
@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler; none was found")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_an_untested_torch_compiles_by_public_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One trace serves all steps and rates, with a line that says so; the bits are those of eager steps."""
    monkeypatch.setattr("samestep.frameworks.pytorch.inductor.TESTED", ())
    inductor.warn_once.cache_clear()
    theta, eager = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    ours, usual = Optimizer([theta], Adam()), Optimizer([eager], Adam())
    step = CompiledTrainingStep(ours, [theta], lambda step, _, halves: step([2 * halves]))
    for lr in (0.5, 0.25, 0.125):
        ours.param_groups[0]["lr"] = usual.param_groups[0]["lr"] = lr
        eager.grad = torch.tensor([lr, 1.0, 0.0])
        with (
            pytest.warns(UserWarning, match="by public functions")
            if lr == 0.5
            else contextlib.nullcontext()
        ):
            step(eager.grad / 2)
        usual.step()
        for name in ("m", "v"):
            assert torch.equal(ours.state[theta][name], usual.state[eager][name])
        assert torch.equal(theta, eager)
    assert isinstance(step.way, trace.Trace)
