"""The optimizers that PyTorch ships, built from a dialect's call."""

from typing import Any

import torch

from samestep.reference.dialects import Call

IMPLEMENTATIONS = ("for-loop", "foreach", "fused")
UNVARIED = ("Muon",)  # torch.optim optimizers with one implementation, whose calls choose none
FUSED = ("SGD", "Adagrad", "Adam", "AdamW")  # torch.optim optimizers with a fused implementation


def optimizer(params: Any, call: Call, implementation: str = "for-loop") -> torch.optim.Optimizer:
    """``torch.optim.<call.name>`` on ``params``; ValueError if it has no such implementation."""
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"implementation must be one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}"
        )
    if implementation == "fused" and call.name not in FUSED:
        raise ValueError(
            f"torch.optim.{call.name} has no fused implementation; {', '.join(FUSED)} have"
        )
    if implementation != "for-loop" and call.name in UNVARIED:
        raise ValueError(
            f"torch.optim.{call.name} has no {implementation} implementation, only a for-loop"
        )
    chosen = {} if call.name in UNVARIED else {"foreach": implementation == "foreach"}
    if call.name in FUSED:
        chosen["fused"] = implementation == "fused"
    return getattr(torch.optim, call.name)(params, **call.arguments, **chosen)
