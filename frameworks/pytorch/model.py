"""The article's network in PyTorch.

A kernel is a Linear weight: (out, in), the transpose of the experiment's. The lockstep grid is
that of ``samestep.frameworks.numpy.model``, as functions that autograd differentiates straight
through: ``OnGrid`` rounds on the way forward, ``GradientOnGrid`` the gradient on its way back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

BITS = 20
SMALLEST = 2.0**-500
EXPONENT = 0x7FF0000000000000


def on_grid(x: torch.Tensor) -> torch.Tensor:
    """Round a float64 tensor to 20 bits below its largest magnitude, halves to even."""
    largest = x.abs().max().clamp(min=SMALLEST)
    power = (largest.view(torch.int64) & EXPONENT).view(torch.float64)
    unit = power * 2.0 ** (1 - BITS)
    return torch.round(x * (1 / unit)) * unit


class OnGrid(torch.autograd.Function):
    """``on_grid`` with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return on_grid(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


class GradientOnGrid(torch.autograd.Function):
    """The identity, with its gradient put on the grid."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return on_grid(gradient)


class CrossEntropyOnGrid(torch.autograd.Function):
    """Mean softmax cross-entropy whose exponentials are on the grid; gradient (p - onehot) / n."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        shifted = logits - logits.max(dim=1, keepdim=True).values
        exponentials = on_grid(torch.exp(shifted))
        total = exponentials.sum(dim=1, keepdim=True)
        ctx.save_for_backward(exponentials / total, labels)
        return (torch.log(total[:, 0]) - shifted.gather(1, labels[:, None])[:, 0]).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        probabilities, labels = ctx.saved_tensors
        onehot = functional.one_hot(labels, probabilities.shape[1])
        return gradient * ((probabilities - onehot) / len(labels)), None


def parameters(weights: Sequence[np.ndarray], device: str) -> list[torch.nn.Parameter]:
    """The experiment's weights as this model's parameters, kernels transposed."""
    return [
        torch.nn.Parameter(torch.tensor(weight.T, device=device).contiguous()) for weight in weights
    ]


def weights(parameters: Sequence[torch.nn.Parameter]) -> list[np.ndarray]:
    """This model's parameters as the experiment's weights, kernels (in, out)."""
    return [parameter.detach().cpu().numpy().T for parameter in parameters]


def forward(
    parameters: Sequence[torch.Tensor], images: torch.Tensor, mask: torch.Tensor | float
) -> torch.Tensor:
    """The logits (n, 10), in plain arithmetic."""
    W1, b1, W2, b2 = parameters
    hidden = functional.relu(functional.linear(images, W1, b1)) * mask
    return functional.linear(hidden, W2, b2)


def forward_on_grid(
    parameters: Sequence[torch.Tensor], images: torch.Tensor, mask: torch.Tensor | float
) -> torch.Tensor:
    """The logits (n, 10), float64, in lockstep arithmetic; ``parameters`` may be float32."""
    W1, b1, W2, b2 = (parameter.double() for parameter in parameters)
    hidden = functional.relu(_linear_on_grid(images, W1, b1)) * mask
    return _linear_on_grid(hidden, W2, b2)


def _linear_on_grid(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    grid: Callable[..., Any] = OnGrid.apply
    return GradientOnGrid.apply(grid(grid(x) @ grid(kernel).T) + bias)
