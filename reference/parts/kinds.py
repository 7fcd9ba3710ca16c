"""Checks that an argument is a part of its kind, with the part that a plain number stands for."""

from typing import Any

from samestep.reference.checks import require

from .accumulation import Accumulation
from .average import Average
from .clipping import Clipping
from .schedules import Schedule


def require_schedule(schedule: Any) -> None:
    """Check that an argument is a schedule."""
    due = "a schedule such as Cosine(lr=0.1, steps=1000), or Constant(lr=0.1) for a number"
    require("schedule", schedule, Schedule, due)


def require_clipping(clipping: Any) -> None:
    """Check that an argument is a clipping."""
    require("clipping", clipping, Clipping, "one such as ClipNorm(limit=1.0)")


def require_average(average: Any) -> None:
    """Check that an argument is an average."""
    require("average", average, Average, "one such as MovingAverage(keep=0.99) or EqualAverage()")


def require_accumulation(accumulation: Any) -> None:
    """Check that an argument is an accumulation."""
    require("accumulation", accumulation, Accumulation, "one such as Accumulation(steps=4)")
