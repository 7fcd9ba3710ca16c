"""Import PyTorch, TensorFlow and Keras for test modules, in the right order.

A test module imports each framework here, before anything that needs it:

>>> from samestep.parity.tests.support.frameworks import keras, tf, torch  # doctest: +SKIP

PyTorch comes before TensorFlow, whichever is asked for, and gets one thread. Where a framework is
not installed, the test module is skipped with the reason; in CI that is an error.
"""

from types import ModuleType
from typing import TYPE_CHECKING

from .require import require

if TYPE_CHECKING:
    import keras
    import ml_dtypes
    import tensorflow as tf
    import torch

__all__ = ["keras", "ml_dtypes", "tf", "torch"]

MODULES = {"keras": "keras", "ml_dtypes": "ml_dtypes", "tf": "tensorflow", "torch": "torch"}


def __getattr__(name: str) -> ModuleType:
    """Import the framework ``name``, so that a test file loads only those that it imports here."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return require(MODULES[name])
