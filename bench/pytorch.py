"""PyTorch's optimizer steps, ours and its own, ready to be timed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from frameworks.pytorch import Optimizer, model, native
from reference import Rule, dialects

from . import clock, sizes

UNDER_COMPILER = "foreach"  # the implementation of its own that PyTorch's compiler is given


def gpu() -> str | None:
    """The GPU's name, None without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


@contextlib.contextmanager
def stepper(what: Rule | dialects.Call, mode: str, device: str, size: str = "mnist") -> Iterator[clock.Stepper]:
    """The weights of a size under a rule (ours) or a call (the native), stepped in ``mode``."""
    parameters = model.parameters(sizes.weights(size), device)
    for parameter, gradient in zip(parameters, model.parameters(sizes.gradients(size), device), strict=True):
        parameter.grad = gradient.detach()
    optimizer = _optimizer(parameters, what, mode)
    step = optimizer.step
    if mode == "compiled" and not isinstance(what, Rule):  # apart from other optimizers: recompilations are limited
        step = torch.compile(step, isolate_recompiles=True)

    def step_and_wait() -> None:
        step()
        torch.cuda.synchronize()

    def weights() -> list[np.ndarray]:
        return [weight.copy() for weight in model.weights(parameters)]

    yield clock.Stepper(step_and_wait if device == "cuda" else step, weights)


def _optimizer(
    parameters: Sequence[torch.nn.Parameter], what: Rule | dialects.Call, mode: str
) -> torch.optim.Optimizer:
    if isinstance(what, Rule):
        return Optimizer(parameters, what, compiled=mode == "compiled")
    return native.optimizer(parameters, what, UNDER_COMPILER if mode == "compiled" else mode)


def axpy(parameters: int, device: str) -> Callable[[], Any]:
    """y <- y + x / 2 in place, float32: 12 bytes a parameter, as fast as the memory allows."""
    x, y = (torch.full((parameters,), value, device=device) for value in (1e-3, 1.0))

    def step() -> None:
        y.add_(x, alpha=0.5)
        if device == "cuda":
            torch.cuda.synchronize()

    return step
