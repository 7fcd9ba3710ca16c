"""PyTorch: gradients by autograd."""

from . import around
from .optimizer import Optimizer

__all__ = ["Optimizer", "around"]
