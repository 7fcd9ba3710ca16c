"""Tensors of one step lie on one device, tried without a GPU.

FakeTensorMode makes tensors without memory that claim to lie on any device, and refuses to mix
devices as the real operations would. Under it a CPU build of torch can do everything on the
device "lazy". On "cuda" it cannot index, copy in place, or move a tensor there by name.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import torch

from samestep.frameworks.pytorch import Optimizer, namespace, parts
from samestep.reference import LAMB, RULES, Adafactor, Muon, Rule
from samestep.reference import parts as reference_parts

pytestmark = pytest.mark.rung(2)

DEVICE = "lazy"
SHAPES = [(4, 3), (5,), (2, 3, 4), ()]
CPU_BUILD = torch.version.cuda is None
UNLINKED = "PyTorch is not linked with support for cuda devices"
# These rules sum all elements of a tensor and index the sum.
NOT_ON_FAKE_CUDA: dict[Any, Any] = {LAMB: SHAPES, Adafactor: SHAPES, Muon: [(4, 3)]}


@pytest.fixture
def fake() -> Iterator[None]:
    """A mode in which new tensors have a device and no memory."""
    with torch._subclasses.FakeTensorMode():
        yield


def on_device(rule: Rule, shape: tuple[int, ...], device: str) -> Any:
    """Theta and state after one update of tensors that all lie on ``device``."""
    theta, gradient = (torch.empty(shape, device=device) for _ in range(2))
    start = rule.start(theta, namespace)
    state = {name: torch.zeros_like(value, device=device) for name, value in start.items()}
    return rule.update(theta, gradient, state, rule.coefficients(1, rule.lr), namespace)


def test_devices_that_are_mixed_are_caught(fake: None) -> None:
    """Else the tests below would prove nothing."""
    for device in (DEVICE, "cuda"):
        with pytest.raises(RuntimeError, match="to be on the same device"):
            torch.empty(3, device=device) + torch.empty(3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("device", [DEVICE, "cuda"])
@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_update_stays_on_its_device(
    kind: type[Rule], device: str, shape: tuple[int, ...], fake: None
) -> None:
    """All rules run on "lazy", and on "cuda" all but those of ``NOT_ON_FAKE_CUDA``."""
    if device == "cuda" and CPU_BUILD and shape in NOT_ON_FAKE_CUDA.get(kind, []):
        with pytest.raises(RuntimeError, match=UNLINKED):
            on_device(kind(), shape, device)
        return
    theta, state = on_device(kind(), shape, device)
    assert {value.device.type for value in (theta, *state.values())} == {device}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_steps_of_the_optimizer_stay_on_the_device(
    kind: type[Rule], dtype: Any, fake: None
) -> None:
    """State is made there, whatever ``start`` gives; two steps, since the first makes the state."""
    thetas = [
        torch.nn.Parameter(torch.empty(shape, device=DEVICE, dtype=dtype)) for shape in SHAPES
    ]
    optimizer = Optimizer(thetas, kind())
    for _ in range(2):
        for theta in thetas:
            theta.grad = torch.empty_like(theta)
        optimizer.step()
    for theta in thetas:
        state = {name: value for name, value in optimizer.state[theta].items() if name != "step"}
        assert {value.device.type for value in state.values()} <= {DEVICE}
        assert {value.dtype for value in state.values()} <= {dtype}
        assert optimizer.state[theta]["step"] == 2


FUNCTIONS: dict[str, Any] = {
    "abs": namespace.abs,
    "concat": lambda x: namespace.concat([x, x], -1),
    "matmul": lambda x: namespace.matmul(x, x),
    "maximum": lambda x: namespace.maximum(x, x),
    "minimum": lambda x: namespace.minimum(x, x),
    "reshape": lambda x: namespace.reshape(x, (-1,)),
    "sign": namespace.sign,
    "sqrt": namespace.sqrt,
    "square": namespace.square,
    "total": lambda x: namespace.total(x, -1) + namespace.total(x, -2),
    "transpose": namespace.transpose,
    "where": lambda x: namespace.where(x > 0, x, x),
    "zeros_like": namespace.zeros_like,
}


@pytest.mark.parametrize("name", [name for name in namespace.__all__ if name != "ones"])
def test_function_of_the_namespace_stays_on_its_device(name: str, fake: None) -> None:
    """Each but ``ones``, which takes no device; the optimizer moves the state that it makes."""
    assert FUNCTIONS[name](torch.empty(5, 5, device=DEVICE)).device.type == DEVICE


def test_clipping_stays_on_the_device_of_each_gradient(fake: None) -> None:
    """Computed on the first one's, and given back where each was."""
    gradients = [torch.empty(3, device=DEVICE), None, torch.empty(2), torch.empty(2, device=DEVICE)]
    for clipping in (
        reference_parts.ClipGlobalNorm(limit=1.0),
        reference_parts.ClipNorm(limit=1.0),
    ):
        clipped = parts.clipped(clipping, gradients)
        assert [g if g is None else g.device.type for g in clipped] == [DEVICE, None, "cpu", DEVICE]


def test_averages_and_sums_stay_on_the_device(fake: None) -> None:
    """Of parameters and of gradients, half precision included."""
    thetas = [torch.empty(3, device=DEVICE), torch.empty(2, device=DEVICE, dtype=torch.bfloat16)]
    averages = parts.Averages(thetas, reference_parts.EqualAverage())
    accumulator = parts.Accumulator(reference_parts.Accumulation(steps=2))
    for _ in range(2):
        averages.update()
        gradients = accumulator.add(thetas)
    assert gradients
    assert {x.device.type for x in (*averages.averages, *gradients) if x is not None} == {DEVICE}
