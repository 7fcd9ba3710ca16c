"""PyTorch: gradients by autograd."""

from . import parts
from .optimizer import Optimizer

__all__ = ["Optimizer", "parts"]
