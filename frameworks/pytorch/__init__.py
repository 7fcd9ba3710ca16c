"""PyTorch: gradients by autograd."""

from . import parts
from .frames import views
from .optimizer import Optimizer

__all__ = ["Optimizer", "parts", "views"]
