"""NumPy: gradients by hand, nothing hidden."""

from .optimizer import Optimizer

__all__ = ["Optimizer"]
