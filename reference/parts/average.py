"""Averages of the weights during training.

B. T. Polyak, A. B. Juditsky: Acceleration of Stochastic Approximation by Averaging. SIAM Journal on
Control and Optimization 30 (1992), 838-855 (equal weights).
P. Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization. UAI 2018,
arXiv:1803.05407.
D. P. Kingma, J. Ba: Adam. ICLR 2015, arXiv:1412.6980, section 3 (the correction of an average that
starts at zero).
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from samestep.reference import scalars
from samestep.reference.checks import require, several
from samestep.reference.namespace import Array
from samestep.reference.rule import flag, number, one_of

from .part import Part, saved_part


class Start(enum.Enum):
    """What a moving average is before the first update."""

    COPY = "nothing: the first theta is copied"
    ZERO = "zero, so that it is too small at first"
    CORRECTED = "zero, and each average is divided by 1 - keep^count"
    INITIAL = "theta as it is when the average is made, before training"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Average(Part):
    """The base of both averages: a <- (1 - w) a + w theta, with a weight w for each theta.

    The first theta is copied, unless ``start`` says something else.
    """

    def weights(self, count: int) -> tuple[float, float]:
        """1 - w and w for theta number ``count`` = 1, 2, ..., as doubles."""
        raise NotImplementedError

    def update(
        self,
        averages: Sequence[Array],
        parameters: Sequence[Array],
        count: int,
        num_updates: int | None = None,
    ) -> list[Array]:
        """The averages after parameters number ``count`` = 1, 2, ..., of their shapes and dtypes.

        With ``count`` 1 they do not depend on ``averages``, except from ``Start.INITIAL``.
        ``num_updates`` matters with ``by_updates`` alone: it is the number of training steps, by
        default ``count`` - 1. It changes nothing in place.
        """
        start = getattr(self, "start", Start.COPY)
        if count == 1 and start in (Start.COPY, Start.CORRECTED):
            return list(parameters)
        if num_updates is not None and getattr(self, "by_updates", False):
            keep, take = self.weights(num_updates + 1)
        else:
            keep, take = self.weights(count)
        if count == 1 and start is Start.ZERO:
            return [take * theta for theta in parameters]
        pairs = zip(averages, parameters, strict=True)
        return [keep * average + take * theta for average, theta in pairs]


@dataclass(frozen=True, kw_only=True, repr=False)
class MovingAverage(Average):
    """a <- keep a + (1 - keep) theta.

    With ``by_updates`` keep is min(keep, (1 + n) / (10 + n)) after n training steps, so that the
    average moves faster at first. From ``Start.CORRECTED`` the same numbers are made without a
    division of arrays: a <- (1 - w) a + w theta with w = (1 - keep) / (1 - keep^count).
    """

    keep: float = number(0.99, "[0, 1]")
    start: Start = one_of(Start.COPY, Start.ZERO, Start.CORRECTED, Start.INITIAL)
    by_updates: bool = flag()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start is Start.CORRECTED and (self.by_updates or self.keep == 1):
            raise ValueError(
                "Start.CORRECTED must have a constant keep below 1, "
                f"got keep={self.keep!r}, by_updates={self.by_updates!r}"
            )

    def weights(self, count: int) -> tuple[float, float]:
        if self.by_updates:
            keep = min(self.keep, count / (count + 9))  # count is n + 1
            return keep, 1 - keep
        if self.start is not Start.CORRECTED:
            return self.keep, 1 - self.keep
        power = scalars.integer_power(self.keep, count)
        return (self.keep - power) / (1 - power), (1 - self.keep) / (1 - power)


@dataclass(frozen=True, kw_only=True, repr=False)
class EqualAverage(Average):
    """The mean of all parameters so far: a <- (1 - 1/count) a + 1/count theta."""

    def weights(self, count: int) -> tuple[float, float]:
        return (count - 1) / count, 1 / count


def require_average(average: Any) -> None:
    """Check that an argument is an average."""
    require("average", average, Average, "one such as MovingAverage(keep=0.99) or EqualAverage()")


class Averaging:
    """Averages of ``parameters``, for any array library: the base of ``Averages``.

    A subclass says how a parameter is copied in the dtype of its average. ``kinds`` are the classes
    of a parameter, and ``due`` says so.
    """

    kinds: type | tuple[type, ...] = object
    due = "a list of parameters"

    def __init__(self, parameters: Sequence[Any], average: Average) -> None:
        require_average(average)
        self.parameters = several("parameters", parameters, self.kinds, self.due)
        self.average = average
        self.count = 0
        initial = getattr(average, "start", Start.COPY) is Start.INITIAL
        self.averages: list[Any] = self._now() if initial else []

    def update(self, num_updates: int | None = None) -> None:
        """Take in the parameters as they are now.

        ``num_updates`` is the number of training steps, for a ``MovingAverage`` with
        ``by_updates``; by default the number of earlier updates.
        """
        self.count += 1
        averages = self.average.update(self.averages, self._now(), self.count, num_updates)
        self.averages = [self._array(average) for average in averages]

    def state_dict(self) -> dict[str, Any]:
        """The average as plain values, the count, and copies of the averages."""
        averages = [self._saved(average) for average in self.averages]
        return {"average": self.average.to_dict(), "count": self.count, "averages": averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state, whose averages are copied.

        ValueError if it was saved under another average, or for parameters of other shapes.
        """
        saved_part(state, "average", self.average)
        averages = [self._wide(average) for average in state["averages"]]
        due = [tuple(wide.shape) for wide in self._now()] if averages else []
        shapes = [tuple(average.shape) for average in averages]
        if shapes != due:
            raise ValueError(f"the saved averages must have the shapes {due}, got {shapes}")
        self.count, self.averages = state["count"], averages

    def _now(self) -> list[Any]:
        return [self._wide(parameter) for parameter in self.parameters]

    def _wide(self, parameter: Any) -> Any:
        """A copy of the parameter, or of an average, in the dtype of the average."""
        raise NotImplementedError

    def _array(self, average: Any) -> Any:
        """The average as an array, where arithmetic has made a number of it."""
        return average

    def _saved(self, average: Any) -> Any:
        """A copy of an average, as it stands in a saved state."""
        return self._wide(average)
