"""Gradient accumulation: one step for the gradients of several batches."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference.rule import Array, one_of

from .part import Part, whole


class Total(enum.Enum):
    """What is made of the gradients."""

    MEAN = "their sum times 1 / steps"
    SUM = "their sum, as calling backward several times leaves it"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Accumulation(Part):
    """The rule steps once in ``steps`` gradients, with their mean (or sum). Rules and schedules count its steps."""

    steps: int = whole(1)
    total: Total = one_of(Total.MEAN, Total.SUM)

    def add(self, sums: Sequence[Array | None], gradients: Sequence[Array | None]) -> list[Array | None]:
        """The sums with one more gradient each, added in the order of their coming; None counts as zero."""
        return [
            g if s is None else s if g is None else s + g for s, g in zip(sums, gradients, strict=True)
        ]  # fmt: skip

    def due(self, count: int) -> bool:
        """Whether the rule steps after gradient number ``count`` = 1, 2, ..."""
        return count % self.steps == 0

    def finished(self, sums: Sequence[Array | None]) -> list[Array | None]:
        """The gradients to step with, of the sums' shapes and dtypes; None where none came."""
        if self.total is Total.SUM:
            return list(sums)
        share = 1 / self.steps
        return [None if s is None else share * s for s in sums]
