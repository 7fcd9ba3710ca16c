"""NumPy: gradients written by hand, in plain arithmetic."""

from . import parts
from .optimizer import Optimizer

__all__ = ["Optimizer", "parts"]
