"""Schedules made of schedules: one after another, and multiplied."""

from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference import scalars
from samestep.reference.namespace import Scalar, Scalars
from samestep.reference.rule import number

from .part import parts_of, several
from .schedules import Schedule

EXAMPLE = "Cosine(lr=0.1, steps=100)"


@dataclass(frozen=True, kw_only=True, repr=False)
class Stages(Schedule):
    """One schedule after another: the next one begins when its boundary has been reached.

    A boundary b is reached after b steps; the schedule that begins there counts its own steps from
    1. ``boundaries`` must be whole numbers that do not fall, one fewer than ``schedules``.
    """

    schedules: Sequence[Schedule] = parts_of(Schedule, EXAMPLE)
    boundaries: Sequence[float] = several("[0, inf)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.boundaries) != sorted(self.boundaries) or any(b % 1 for b in self.boundaries):
            raise ValueError(
                f"boundaries must be whole numbers that do not fall, got {self.boundaries}"
            )
        if len(self.boundaries) != len(self.schedules) - 1:
            raise ValueError(
                f"boundaries must be one fewer than schedules, got {self.boundaries} for "
                f"{len(self.schedules)}"
            )

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        first, *later = self.schedules
        rate = first.rate(step, xp)
        for boundary, schedule in zip(self.boundaries, later, strict=True):
            begun = step > int(boundary)
            own_step = xp.where(begun, step - int(boundary), 1)
            rate = xp.where(begun, schedule.rate(own_step, xp), rate)
        return rate


@dataclass(frozen=True, kw_only=True, repr=False)
class Product(Schedule):
    """rate = lr times the values of all ``factors``, which are schedules without a unit."""

    lr: float = number(1e-2, "[0, inf)")
    factors: Sequence[Schedule] = parts_of(Schedule, "Exponential(lr=1.0, factor=0.9)")

    def rate(self, step: Scalar, xp: Scalars = scalars) -> Scalar:
        rate = self.lr
        for factor in self.factors:
            rate = rate * factor.rate(step, xp)
        return rate
