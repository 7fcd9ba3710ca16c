"""NumPy: gradients by hand, nothing hidden."""

from . import parts
from .optimizer import Optimizer

__all__ = ["Optimizer", "parts"]
