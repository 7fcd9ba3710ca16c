"""PyTorch's optimizer steps, ours and its own, ready to be timed."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from frameworks import experiment
from frameworks.pytorch import Optimizer, model, native
from reference import Rule, dialects

from . import clock

UNDER_COMPILER = "foreach"  # the implementation of its own that PyTorch's compiler is given


def gpu() -> str | None:
    """The GPU's name, None without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


@contextlib.contextmanager
def stepper(what: Rule | dialects.Call, mode: str, device: str) -> Iterator[clock.Stepper]:
    """The experiment's weights under a rule (ours) or a call (the native), stepped in ``mode``."""
    torch._dynamo.reset()  # its limit of recompilations counts every optimizer of the process
    parameters = model.parameters(experiment.initial_weights(), device)
    for parameter, gradient in zip(parameters, model.parameters(clock.gradients(), device), strict=True):
        parameter.grad = gradient.detach()
    optimizer = _optimizer(parameters, what, mode)
    step = torch.compile(optimizer.step) if mode == "compiled" else optimizer.step

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
        return Optimizer(parameters, what)
    return native.optimizer(parameters, what, UNDER_COMPILER if mode == "compiled" else mode)
