"""The court: streams of gradients, trajectories, derived limits, deviations, mutants, and the tests that use them.

For other people's tests it has ``assert_same_steps``, which is loaded when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .same_steps import assert_same_steps

__all__ = ["assert_same_steps"]


def __getattr__(name: str) -> Any:
    """``assert_same_steps`` brings NumPy; importing ``parity`` brings nothing."""
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.same_steps"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
