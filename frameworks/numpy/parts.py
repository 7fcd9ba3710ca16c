"""What stands around a rule, for NumPy arrays.

::

    scheduler = Scheduler(optimizer, Cosine(lr=0.1, steps=1000))
    optimizer.step(clipped(ClipGlobalNorm(limit=1.0), gradients))
    scheduler.step()
"""

from collections.abc import Sequence

import numpy as np

from samestep.reference.parts import Accumulation, Average, Clipping, Schedule

from . import namespace
from .optimizer import Optimizer

Gradients = Sequence[np.ndarray | None]


def clipped(clipping: Clipping, gradients: Gradients) -> list[np.ndarray | None]:
    """New gradients, clipped, of the same shapes and dtypes; None stays None.

    Computed in float64 if one of them is float64, else in float32, and rounded once to each dtype.
    """
    wide = np.result_type(np.float32, *(g.dtype for g in gradients if g is not None))
    with np.errstate(
        all="ignore"
    ):  # NaN and infinity travel on in silence, as in the other frameworks
        found = clipping.clip(
            [None if g is None else g.astype(wide, copy=False) for g in gradients], namespace
        )
        return [
            None if g is None else np.asarray(new, g.dtype)
            for g, new in zip(gradients, found, strict=True)
        ]


class Scheduler:
    """Sets ``optimizer.lr``: to the first rate now, to the next one at each ``step()``, made after the optimizer's."""

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.optimizer, self.schedule, self.taken = optimizer, schedule, 0
        optimizer.lr = schedule.rate(1)

    def step(self) -> None:
        """The next step's rate."""
        self.taken += 1
        self.optimizer.lr = self.schedule.rate(self.taken + 1)


class Averages:
    """Averages of ``parameters``: call ``update()`` after each step and read ``averages``.

    Half precision is averaged in float32, so the averages of such parameters are float32.
    """

    def __init__(self, parameters: Sequence[np.ndarray], average: Average) -> None:
        self.parameters, self.average, self.count = list(parameters), average, 0
        self.averages: list[np.ndarray] = []

    def update(self) -> None:
        """Take in the parameters as they are now; the first time copies them."""
        self.count += 1
        now = [_wide(parameter) for parameter in self.parameters]
        self.averages = [np.asarray(a) for a in self.average.update(self.averages, now, self.count)]


class Accumulator:
    """Collects gradients: ``add`` gives those to step with when they are due, else None.

    Half precision is summed in float32 and rounded once. A tensor that had no gradient keeps None.
    """

    def __init__(self, accumulation: Accumulation) -> None:
        self.accumulation, self.count = accumulation, 0
        self.sums: list[np.ndarray | None] = []
        self.dtypes: dict[int, np.dtype] = {}

    def add(self, gradients: Gradients) -> list[np.ndarray | None] | None:
        """Take in one batch's gradients, in the same order and of the same dtypes each time."""
        self.count += 1
        self.dtypes |= {index: g.dtype for index, g in enumerate(gradients) if g is not None}
        wide = [None if g is None else _wide(g) for g in gradients]
        self.sums = self.accumulation.add(self.sums, wide) if self.sums else wide
        if not self.accumulation.due(self.count):
            return None
        done, self.sums = self.accumulation.finished(self.sums), []
        return [
            None if g is None else np.asarray(g, self.dtypes[index]) for index, g in enumerate(done)
        ]


def _wide(array: np.ndarray) -> np.ndarray:
    """A copy, half precision as float32."""
    return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype)
