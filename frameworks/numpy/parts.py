"""The parts that work with a rule, for NumPy arrays.

::

    scheduler = Scheduler(optimizer, Cosine(lr=0.1, steps=1000))
    optimizer.step(clipped(ClipGlobalNorm(limit=1.0), gradients))
    scheduler.step()
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.reference.checks import require, several
from samestep.reference.parts import (
    Accumulating,
    Averaging,
    Clipping,
    LossScaling,
    Plateau,
    PlateauWatch,
    Schedule,
    saved_part,
)
from samestep.reference.parts.kinds import (
    require_clipping,
    require_schedule,
)

from . import namespace
from .optimizer import Optimizer

Gradients = Sequence[np.ndarray | None]
ARRAYS = "a list of arrays"
KINDS = (np.ndarray, np.generic)


def clipped(clipping: Clipping, gradients: Gradients) -> list[np.ndarray | None]:
    """New gradients, clipped, of the same shapes and dtypes; None stays None.

    Computed in float64 if one of them is float64, else in float32, and rounded once to each dtype.
    """
    require_clipping(clipping)
    gradients = several("gradients", gradients, KINDS, ARRAYS)
    dtypes = (g.dtype for g in gradients if g is not None)
    wide = np.result_type(np.float32, *dtypes)
    widened = [None if g is None else g.astype(wide, copy=False) for g in gradients]
    with np.errstate(all="ignore"):  # NaN and infinity pass silently, as in the other frameworks
        pairs = zip(gradients, clipping.clip(widened, namespace), strict=True)
        return [None if g is None else np.asarray(new, g.dtype) for g, new in pairs]


class Scheduler:
    """Sets ``optimizer.lr``: to the first rate now, and to the next one at each ``step()``.

    Call ``step()`` after the optimizer's.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        require("optimizer", optimizer, Optimizer, "samestep.frameworks.numpy.Optimizer")
        require_schedule(schedule)
        self.optimizer = optimizer
        self.schedule = schedule
        self.taken = 0
        optimizer.lr = schedule.rate(1)

    def step(self) -> None:
        """Set the next step's rate."""
        self.taken += 1
        self.optimizer.lr = self.schedule.rate(self.taken + 1)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"schedule": self.schedule.to_dict(), "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; it sets the rate of the step that comes next.

        ValueError if it was saved under another schedule.
        """
        saved_part(state, "schedule", self.schedule)
        self.taken = state["taken"]
        self.optimizer.lr = self.schedule.rate(self.taken + 1)


class PlateauScheduler:
    """Lowers ``optimizer.lr`` when a value stops improving: call ``step(value)`` each epoch."""

    def __init__(self, optimizer: Optimizer, plateau: Plateau) -> None:
        require("optimizer", optimizer, Optimizer, "samestep.frameworks.numpy.Optimizer")
        self.optimizer = optimizer
        self.watch = PlateauWatch(plateau)

    def step(self, value: float) -> None:
        """Take in the value of the epoch that has ended."""
        if self.watch.falls(value):
            self.optimizer.lr = self.watch.plateau.lowered(self.optimizer.lr)

    def state_dict(self) -> dict[str, Any]:
        """Plain values; the learning rate is the optimizer's."""
        return self.watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; ValueError if it was saved under another plateau."""
        self.watch.load_state_dict(state)


class LossScaler(LossScaling):
    """Scales losses: multiply the loss by ``scale``, and give the gradients to ``unscaled``.

    ::

        gradients = scaler.unscaled(gradients)  # of scaler.scale * loss
        if gradients is not None:
            optimizer.step(clipped(ClipGlobalNorm(limit=1.0), gradients))
        if scaler.schedule_moves:
            scheduler.step()
    """

    def _finite(self, gradient: np.ndarray) -> bool:
        return bool(np.isfinite(gradient).all())

    def _times(self, gradient: np.ndarray, factor: float) -> np.ndarray:
        wide = _wide(gradient)
        with np.errstate(all="ignore"):
            return np.asarray(factor * wide, gradient.dtype)


class Averages(Averaging):
    """Averages of ``parameters``: call ``update()`` after each step and read ``averages``.

    Half precision is averaged in float32, so the averages of such parameters are float32. A state
    of ``state_dict()`` goes on exactly.
    """

    kinds = KINDS
    due = ARRAYS

    def _wide(self, parameter: np.ndarray) -> np.ndarray:
        return _wide(parameter)

    def _array(self, average: Any) -> np.ndarray:
        return np.asarray(average)


class Accumulator(Accumulating):
    """Collects gradients: ``add`` gives those to step with when they are due, else None.

    After the last batch call ``finish()``, which gives those of an incomplete window. Half
    precision is summed in float32 and rounded once. A tensor that had no gradient keeps None.
    """

    kinds = KINDS
    due = ARRAYS

    def _wide(self, gradient: np.ndarray) -> np.ndarray:
        return _wide(gradient)

    def _narrow(self, gradient: Any, dtype: np.dtype) -> np.ndarray:
        return np.asarray(gradient, dtype)

    def _dtype(self, name: str) -> np.dtype:
        return np.dtype(name)


def _wide(array: Any) -> np.ndarray:
    """A copy, half precision as float32."""
    array = np.asarray(array)
    return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype)
