"""The parts that work with a rule, for NumPy arrays.

::

    scheduler = Scheduler(optimizer, Cosine(lr=0.1, steps=1000))
    optimizer.step(clipped(ClipGlobalNorm(limit=1.0), gradients))
    scheduler.step()
"""

from collections.abc import Sequence

import numpy as np

from samestep.reference.checks import require, several
from samestep.reference.parts import Accumulation, Average, Clipping, Schedule
from samestep.reference.parts.kinds import (
    require_accumulation,
    require_average,
    require_clipping,
    require_schedule,
)

from . import namespace
from .optimizer import Optimizer

Gradients = Sequence[np.ndarray | None]
ARRAYS = "a list of arrays"


def clipped(clipping: Clipping, gradients: Gradients) -> list[np.ndarray | None]:
    """New gradients, clipped, of the same shapes and dtypes; None stays None.

    Computed in float64 if one of them is float64, else in float32, and rounded once to each dtype.
    """
    require_clipping(clipping)
    gradients = several("gradients", gradients, (np.ndarray, np.generic), ARRAYS)
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


class Averages:
    """Averages of ``parameters``: call ``update()`` after each step and read ``averages``.

    Half precision is averaged in float32, so the averages of such parameters are float32.
    """

    def __init__(self, parameters: Sequence[np.ndarray], average: Average) -> None:
        require_average(average)
        self.parameters = several("parameters", parameters, (np.ndarray, np.generic), ARRAYS)
        self.average = average
        self.count = 0
        self.averages: list[np.ndarray] = []

    def update(self) -> None:
        """Take in the parameters as they are now; the first time copies them."""
        self.count += 1
        now = [_wide(parameter) for parameter in self.parameters]
        averages = self.average.update(self.averages, now, self.count)
        self.averages = [np.asarray(average) for average in averages]


class Accumulator:
    """Collects gradients: ``add`` gives those to step with when they are due, else None.

    Half precision is summed in float32 and rounded once. A tensor that had no gradient keeps None.
    """

    def __init__(self, accumulation: Accumulation) -> None:
        require_accumulation(accumulation)
        self.accumulation = accumulation
        self.count = 0
        self.sums: list[np.ndarray | None] = []
        self.dtypes: dict[int, np.dtype] = {}

    def add(self, gradients: Gradients) -> list[np.ndarray | None] | None:
        """Take in one batch's gradients, in the same order and of the same dtypes each time."""
        gradients = several("gradients", gradients, (np.ndarray, np.generic), ARRAYS)
        self.count += 1
        self.dtypes |= {index: g.dtype for index, g in enumerate(gradients) if g is not None}
        wide = [None if g is None else _wide(g) for g in gradients]
        self.sums = self.accumulation.add(self.sums, wide) if self.sums else wide
        if not self.accumulation.due(self.count):
            return None
        finished = self.accumulation.finished(self.sums)
        self.sums = []
        return [
            None if g is None else np.asarray(g, self.dtypes[i]) for i, g in enumerate(finished)
        ]


def _wide(array: np.ndarray) -> np.ndarray:
    """A copy, half precision as float32."""
    return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype)
