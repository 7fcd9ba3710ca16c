"""PyTorch: gradients by autograd."""

from .optimizer import Optimizer

__all__ = ["Optimizer"]
