"""torch.optim, in every implementation."""

import contextlib
from unittest import mock

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call

NEEDS = ("torch",)
TITLE = "torch.optim"
WIDE = "for-loop without bfloat16"  # a native that converts matrices to bfloat16, kept from it


def kinds(name: str) -> list[str]:
    """For-loop, foreach, and fused where there is one."""
    from samestep.frameworks.pytorch.native import FUSED, IMPLEMENTATIONS, UNVARIED

    if name in UNVARIED:
        return ["for-loop", WIDE]
    return [kind for kind in IMPLEMENTATIONS if kind != "fused" or name in FUSED]


def run(call: Call, kind: str, dtype: str, trial: TensorTrial, each_step: str = "") -> np.ndarray:
    """Where the native goes; ``each_step`` is code for the parameter group, run before each step."""
    import torch

    from samestep.frameworks.pytorch import native

    parameter = torch.nn.Parameter(torch.tensor(trial.start, dtype=getattr(torch, dtype)))
    optimizer = native.optimizer([parameter], call, "for-loop" if kind == WIDE else kind)
    unconverted = mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone)
    group, thetas, lr_before = optimizer.param_groups[0], [], trial.rates[0]
    for t, (gradient, lr) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=1):
        group["lr"] = lr
        exec(each_step, {"group": group, "t": t, "lr": lr, "lr_before": lr_before})
        lr_before = lr
        parameter.grad = torch.tensor(gradient, dtype=parameter.dtype)
        with unconverted if kind == WIDE else contextlib.nullcontext():
            optimizer.step()
        thetas.append(parameter.detach().numpy().copy())
    return np.array(thetas)
