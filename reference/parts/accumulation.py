"""Gradient accumulation: one step for the gradients of several batches."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference.namespace import Array
from samestep.reference.rule import one_of

from .part import Part, whole


class Total(enum.Enum):
    """How the gradients are combined."""

    MEAN = "their sum times 1 / steps"
    SUM = "their sum, as calling backward several times leaves it"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Accumulation(Part):
    """The rule steps once in ``steps`` gradients, with their mean or sum.

    Rules and schedules count the rule's steps, not the gradients.
    """

    steps: int = whole(1)
    total: Total = one_of(Total.MEAN, Total.SUM)

    def add(
        self, sums: Sequence[Array | None], gradients: Sequence[Array | None]
    ) -> list[Array | None]:
        """The sums with one more gradient each; None counts as zero."""
        pairs = zip(sums, gradients, strict=True)
        return [_plus(total, gradient) for total, gradient in pairs]

    def due(self, count: int) -> bool:
        """True if the rule steps after gradient number ``count`` = 1, 2, ..."""
        return count % self.steps == 0

    def finished(self, sums: Sequence[Array | None]) -> list[Array | None]:
        """The gradients to step with, of the sums' shapes and dtypes; None where there was none."""
        if self.total is Total.SUM:
            return list(sums)
        share = 1 / self.steps
        return [None if total is None else share * total for total in sums]


def _plus(total: Array | None, gradient: Array | None) -> Array | None:
    """The sum of both, None counting as zero."""
    if total is None:
        return gradient
    return total if gradient is None else total + gradient
