"""Optimizers of PyTorch: anything with a ``step`` that moves parameters by their ``grad``."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

TITLE = "PyTorch"
MODES = ("eager",)


def accepts(made: Any) -> bool:
    """Whether it takes steps."""
    return callable(getattr(made, "step", None)) and not isinstance(made, type)


def made(make: Callable[..., Any], starts: Sequence[np.ndarray], dtype: str) -> tuple[Any, list[torch.nn.Parameter]]:
    """The optimizer and its parameters."""
    parameters = [torch.nn.Parameter(torch.tensor(start, dtype=getattr(torch, dtype))) for start in starts]
    return make(list(parameters)), parameters


def rate(optimizer: Any) -> float | None:
    """The learning rate of the first parameter group."""
    groups = getattr(optimizer, "param_groups", None) or [{}]
    return float(groups[0]["lr"]) if "lr" in groups[0] else None


def run(
    make: Callable[..., Any], starts: Sequence[np.ndarray], gradients: Sequence[np.ndarray], factors: Sequence[float],
    dtype: str, mode: str, push: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[list[np.ndarray]]:  # fmt: skip
    """The parameters after each step."""
    optimizer, parameters = made(make, starts, dtype)
    own = rate(optimizer)
    for step, factor in enumerate(factors):
        for group in optimizer.param_groups if own is not None else ():
            _set(group, float(np.float32(own * factor)))  # type: ignore[operator]
        given = [np.asarray(g[step], dtype) for g in gradients]
        given = [push(g) for g in given] if push else given
        kept = [torch.tensor(g) for g in given]
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient
        optimizer.step()
        for index, (gradient, before) in enumerate(zip(kept, given, strict=True)):
            if not np.array_equal(gradient.numpy(), before, equal_nan=True):
                raise AssertionError(
                    f"{type(optimizer).__name__} must leave gradients as they are, but it wrote to the gradient of "
                    f"tensor {index} in step {step + 1}, {dtype}; work on a copy"
                )
        yield [parameter.detach().numpy().copy() for parameter in parameters]
        for tensor in _kept(optimizer, parameters) if push else ():
            tensor.data.copy_(torch.tensor(push(tensor.detach().numpy())))  # type: ignore[misc]


def _set(group: dict[str, Any], lr: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def _kept(optimizer: Any, parameters: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The parameters, and all arrays of the state."""
    yield from parameters
    for state in getattr(optimizer, "state", {}).values():
        yield from (x for x in state.values() if isinstance(x, torch.Tensor) and x.is_floating_point() and x.ndim)
