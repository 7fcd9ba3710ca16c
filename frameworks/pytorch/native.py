"""The optimizers that PyTorch ships, built from a dialect's call."""

from typing import Any

import torch

from samestep.frameworks.natives import FUSED as FUSED
from samestep.frameworks.natives import IMPLEMENTATIONS
from samestep.frameworks.natives import UNVARIED as UNVARIED
from samestep.reference.dialects import Call


def optimizer(params: Any, call: Call, implementation: str = "for-loop") -> torch.optim.Optimizer:
    """``torch.optim.<call.name>`` on ``params``; ValueError if it has no such implementation."""
    if implementation not in IMPLEMENTATIONS:
        known = ", ".join(IMPLEMENTATIONS)
        raise ValueError(f"implementation must be one of {known}, got {implementation!r}")
    if implementation == "fused" and call.name not in FUSED:
        have = ", ".join(FUSED)
        raise ValueError(f"torch.optim.{call.name} has no fused implementation; {have} have")
    if implementation != "for-loop" and call.name in UNVARIED:
        raise ValueError(
            f"torch.optim.{call.name} has no {implementation} implementation, only a for-loop"
        )
    flags = {} if call.name in UNVARIED else {"foreach": implementation == "foreach"}
    if call.name in FUSED:
        flags["fused"] = implementation == "fused"
    return getattr(torch.optim, call.name)(params, **call.arguments, **flags)
