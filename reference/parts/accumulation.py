"""Gradient accumulation: one step for the gradients of several batches."""

import enum
import math
import numbers
import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samestep.reference.checks import require, several
from samestep.reference.namespace import Array
from samestep.reference.rule import one_of

from .part import Part, saved_part, whole


class Total(enum.Enum):
    """How the gradients are combined."""

    MEAN = "their mean: the sum of weight times gradient, times 1 / the sum of the weights"
    SUM = "their sum, as calling backward several times leaves it"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Accumulation(Part):
    """The rule steps once in ``steps`` gradients, with their mean or sum.

    Each gradient may have a weight, such as the number of tokens that it is the mean of. Without
    weights each counts 1. Rules and schedules count the rule's steps, not the gradients.
    """

    steps: int = whole(1)
    total: Total = one_of(Total.MEAN, Total.SUM)

    def add(
        self,
        sums: Sequence[Array | None],
        gradients: Sequence[Array | None],
        weight: float = 1.0,
    ) -> list[Array | None]:
        """The sums with one more gradient each, times ``weight``; None counts as zero."""
        pairs = zip(sums, gradients, strict=True)
        return [_plus(total, _weighted(gradient, weight)) for total, gradient in pairs]

    def due(self, count: int) -> bool:
        """True if the rule steps after gradient number ``count`` = 1, 2, ... of a window."""
        return count % self.steps == 0

    def finished(
        self, sums: Sequence[Array | None], weight: float | None = None
    ) -> list[Array | None]:
        """The gradients to step with, of the sums' shapes and dtypes; None where there was none.

        ``weight`` is the sum of the weights that were added; without it, ``steps`` gradients were
        added, each with weight 1.
        """
        if self.total is Total.SUM:
            return list(sums)
        share = 1 / (self.steps if weight is None else weight)
        return [None if total is None else share * total for total in sums]


def require_accumulation(accumulation: Any) -> None:
    """Check that an argument is an accumulation."""
    require("accumulation", accumulation, Accumulation, "one such as Accumulation(steps=4)")


class Accumulating:
    """The gradients of the present window, for any array library: the base of ``Accumulator``.

    A subclass says how a gradient is widened for the sum and how the result is narrowed. When an
    accumulator is thrown away with gradients that no step has used, and no state was saved, it
    gives a warning. ``kinds`` are the classes of a gradient, and ``due`` says so.
    """

    kinds: type | tuple[type, ...] = object
    due = "a list of gradients"

    def __init__(self, accumulation: Accumulation) -> None:
        require_accumulation(accumulation)
        self.accumulation = accumulation
        self.count = 0  # of all gradients
        self.weight = 0.0  # of the gradients in the window
        self.sums: list[Any] = []
        self.dtypes: dict[int, Any] = {}
        self._window = _Window(accumulation)
        weakref.finalize(self, self._window.warn_of_unused)

    @property
    def pending(self) -> int:
        """How many gradients have been added since the last step."""
        return self._window.count

    def add(self, gradients: Sequence[Any], weight: float = 1.0) -> list[Any] | None:
        """Take in one batch's gradients; gives those to step with when they are due, else None.

        The gradients come in the same order and with the same dtypes each time. ``weight`` is what
        the batch counts, such as its number of tokens; a batch of weight 0 changes no sum.
        """
        _check_weight(weight)
        gradients = several("gradients", gradients, self.kinds, self.due)
        self.dtypes |= {index: g.dtype for index, g in enumerate(gradients) if g is not None}
        wide = [None if g is None or not weight else self._wide(g) for g in gradients]
        sums = self.sums or [None] * len(wide)
        self.sums = self.accumulation.add(sums, wide, weight)
        self.weight += weight
        self.count += 1
        self._window.count += 1
        self._window.saved = False
        return self.finish() if self.accumulation.due(self._window.count) else None

    def finish(self) -> list[Any] | None:
        """The gradients of an incomplete window: the mean of those that there are, or their sum.

        Call it after the last batch. None if there are none. ValueError if all weights were 0.
        """
        if not self._window.count:
            return None
        if not self.weight:
            raise ValueError(
                f"the weights of a window must have a sum above 0, got {self._window.count} "
                "batches of weight 0; leave such batches out"
            )
        finished = self.accumulation.finished(self.sums, self.weight)
        dtypes = self.dtypes
        self.sums, self.weight, self._window.count = [], 0.0, 0
        return [None if g is None else self._narrow(g, dtypes[i]) for i, g in enumerate(finished)]

    def state_dict(self) -> dict[str, Any]:
        """The window as plain values, and copies of the sums as arrays."""
        self._window.saved = True
        return {
            "accumulation": self.accumulation.to_dict(),
            "count": self.count,
            "pending": self.pending,
            "weight": self.weight,
            "dtypes": [[index, _name(dtype)] for index, dtype in self.dtypes.items()],
            "sums": [None if total is None else self._saved(total) for total in self.sums],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on in the middle of a window; ValueError if it was saved under another accumulation.

        It copies what it reads.
        """
        saved_part(state, "accumulation", self.accumulation)
        self.count, self.weight = state["count"], state["weight"]
        self._window.count = state["pending"]
        self.dtypes = {index: self._dtype(name) for index, name in state["dtypes"]}
        self.sums = [None if total is None else self._wide(total) for total in state["sums"]]

    def _wide(self, gradient: Any) -> Any:
        """A copy of the gradient in the dtype of the sum."""
        raise NotImplementedError

    def _narrow(self, gradient: Any, dtype: Any) -> Any:
        """The gradient in ``dtype``."""
        raise NotImplementedError

    def _dtype(self, name: str) -> Any:
        """The library's dtype of that name, such as ``float32``."""
        raise NotImplementedError

    def _saved(self, total: Any) -> Any:
        """A copy of a sum, as it stands in a saved state."""
        return self._wide(total)


class _Window:
    """How many gradients wait for a step; it outlives its accumulator, to warn of them."""

    def __init__(self, accumulation: Accumulation) -> None:
        self.accumulation = accumulation
        self.count = 0
        self.saved = False

    def warn_of_unused(self) -> None:
        """Warn if gradients were added that no step has used, and that no state holds."""
        if self.count and not self.saved:
            total = self.accumulation.total.name.lower()
            warnings.warn(
                f"{self.count} of {self.accumulation.steps} gradients were accumulated and never "
                f"used; call finish() after the last batch for a step with their {total}",
                stacklevel=2,
            )


def _check_weight(weight: float) -> None:
    real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
    if not (real and 0 <= weight < math.inf):
        raise ValueError(f"weight must be a number in [0, inf), got {weight!r}")


def _name(dtype: Any) -> str:
    """``float32`` for the dtype of any library."""
    return getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")


def _weighted(gradient: Array | None, weight: float) -> Array | None:
    return gradient if gradient is None or weight == 1 else weight * gradient


def _plus(total: Array | None, gradient: Array | None) -> Array | None:
    """The sum of both, None counting as zero."""
    if total is None:
        return gradient
    return total if gradient is None else total + gradient
