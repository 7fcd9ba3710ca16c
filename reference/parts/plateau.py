"""A learning rate that falls when a measured value, such as the validation loss, stops improving.

It has no single source. What is fixed here is which epoch is the first with a lower rate.
"""

import enum
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from samestep.reference.rule import number, one_of

from .part import Part, saved_part, whole


class Mode(enum.Enum):
    """Which values are better."""

    MIN = "lower values"
    MAX = "higher values"

    def __repr__(self) -> str:
        return str(self)


class ThresholdMode(enum.Enum):
    """By how much a value must be better than the best one to count as an improvement."""

    REL = "by the share threshold of the best value"
    ABS = "by threshold, in the units of the value"

    def __repr__(self) -> str:
        return str(self)


class PlateauState(NamedTuple):
    """What a plateau remembers between epochs."""

    best: float  # the best value so far
    bad: int  # epochs in a row without an improvement
    cooldown: int  # epochs to come that do not count as bad


@dataclass(frozen=True, kw_only=True, repr=False)
class Plateau(Part):
    """lr <- max(factor lr, min_lr) after more than ``patience`` epochs without an improvement.

    After a fall, ``cooldown`` epochs do not count as bad, and counting starts again. A value is an
    improvement if it is better than the best one by more than ``threshold``, as ``threshold_mode``
    says. The rate stays as it is where it would fall by ``least_change`` or less. ``min_lr`` and
    ``least_change`` have the units of the rate. Not-a-number is no improvement.
    """

    mode: Mode = one_of(Mode.MIN, Mode.MAX)
    factor: float = number(0.1, "[0, 1)")
    patience: int = whole(0, 10)
    threshold: float = number(1e-4, "[0, inf)")
    threshold_mode: ThresholdMode = one_of(ThresholdMode.REL, ThresholdMode.ABS)
    cooldown: int = whole(0, 0)
    min_lr: float = number(0.0, "[0, inf)")
    least_change: float = number(0.0, "[0, inf)")

    def start(self) -> PlateauState:
        """The state before the first epoch."""
        return PlateauState(math.inf if self.mode is Mode.MIN else -math.inf, 0, 0)

    def update(self, state: PlateauState, value: float) -> tuple[PlateauState, bool]:
        """The state after an epoch that ended with ``value``, and whether the rate falls now."""
        best, bad, cooldown = state
        if self._improves(value, best):
            best, bad = value, 0
        else:
            bad += 1
        if cooldown:
            bad, cooldown = 0, cooldown - 1
        if bad > self.patience:
            return PlateauState(best, 0, self.cooldown), True
        return PlateauState(best, bad, cooldown), False

    def lowered(self, lr: float) -> float:
        """The rate after a fall from ``lr``."""
        lower = max(lr * self.factor, self.min_lr)
        return lower if lr - lower > self.least_change else lr

    def _improves(self, value: float, best: float) -> bool:
        if self.threshold_mode is ThresholdMode.REL:
            share = 1.0 - self.threshold if self.mode is Mode.MIN else 1.0 + self.threshold
            bound = best * share
        else:
            bound = best - self.threshold if self.mode is Mode.MIN else best + self.threshold
        return value < bound if self.mode is Mode.MIN else value > bound


class PlateauWatch:
    """A plateau and its state during a training run; the frameworks' classes hold one."""

    def __init__(self, plateau: Plateau) -> None:
        if not isinstance(plateau, Plateau):
            raise ValueError(f"plateau must be one such as Plateau(patience=3), got {plateau!r}")
        self.plateau = plateau
        self.state = plateau.start()

    def falls(self, value: Any) -> bool:
        """Take in the value of an epoch, a number; True if the rate falls now."""
        self.state, falls = self.plateau.update(self.state, float(value))
        return falls

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"plateau": self.plateau.to_dict(), **self.state._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; ValueError if it was saved under another plateau."""
        saved_part(state, "plateau", self.plateau)
        self.state = PlateauState(state["best"], state["bad"], state["cooldown"])
