"""Parity: do optimizers take the same steps? Measured, judged within derived limits, and explained.

For your own tests and scripts: ``assert_same_steps`` and ``Recorder``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assertion.recorder import Recorder
    from .assertion.same_steps import assert_same_steps

__all__ = ["Recorder", "assert_same_steps"]

_MODULES = {"Recorder": "recorder", "assert_same_steps": "same_steps"}


def __getattr__(name: str) -> Any:
    """Import what needs NumPy only when it is asked for: pytest loads this package in every run
    beside it.
    """
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.assertion.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
