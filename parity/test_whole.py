"""A training step that is compiled as a whole says where it cannot be."""

import re
from typing import Any

import pytest

from parity.require import require
from reference import Adam

torch = require("torch")

from frameworks.pytorch import Optimizer  # noqa: E402
from frameworks.pytorch.whole import WholeStep  # noqa: E402


def made(*devices: str) -> Any:
    """A step of tensors on these devices."""
    thetas = [torch.nn.Parameter(torch.ones(3, device=device)) for device in devices]
    return WholeStep(Optimizer(thetas, Adam()), thetas, lambda step, thetas: step([torch.ones(3) for _ in thetas]))


@pytest.mark.parametrize("devices", [("meta",), ("cpu", "meta")], ids=" and ".join)
def test_another_device_than_the_cpu_is_refused(devices: tuple[str, ...]) -> None:
    """One such tensor is enough."""
    with pytest.raises(ValueError, match="steps are compiled as a whole on the CPU alone"):
        made(*devices)


def test_an_untested_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number."""
    assert made("cpu")
    monkeypatch.setattr("frameworks.pytorch.compiled.TESTED", ())
    with pytest.raises(ValueError, match=re.escape(f"not tested with torch {torch.__version__}")):
        made("cpu")
