"""Checks that an argument is a part of its kind, with the part that a plain number stands for."""

from typing import Any

from samestep.reference.checks import require

from .accumulation import require_accumulation
from .average import require_average
from .clipping import Clipping
from .schedules import Schedule

__all__ = [
    "require_accumulation",
    "require_average",
    "require_clipping",
    "require_schedule",
]


def require_schedule(schedule: Any) -> None:
    """Check that an argument is a schedule."""
    due = "a schedule such as Cosine(lr=0.1, steps=1000), or Constant(lr=0.1) for a number"
    require("schedule", schedule, Schedule, due)


def require_clipping(clipping: Any) -> None:
    """Check that an argument is a clipping."""
    require("clipping", clipping, Clipping, "one such as ClipNorm(limit=1.0)")
