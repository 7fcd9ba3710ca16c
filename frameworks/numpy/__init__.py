"""NumPy: gradients by hand, nothing hidden."""

from . import around
from .optimizer import Optimizer

__all__ = ["Optimizer", "around"]
