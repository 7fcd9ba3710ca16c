"""Averages of the weights during training.

B. T. Polyak, A. B. Juditsky: Acceleration of Stochastic Approximation by Averaging. SIAM Journal on
Control and Optimization 30 (1992), 838-855 (equal weights).
P. Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization. UAI 2018,
arXiv:1803.05407.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference.namespace import Array
from samestep.reference.rule import number

from .part import Part


@dataclass(frozen=True, kw_only=True, repr=False)
class Average(Part):
    """The base of both averages: a <- (1 - w) a + w theta, with a weight w for each theta.

    The first theta is copied.
    """

    def weights(self, count: int) -> tuple[float, float]:
        """1 - w and w for theta number ``count`` = 2, 3, ..., as doubles."""
        raise NotImplementedError

    def update(
        self, averages: Sequence[Array], parameters: Sequence[Array], count: int
    ) -> list[Array]:
        """The averages after parameters number ``count`` = 1, 2, ..., of their shapes and dtypes.

        With ``count`` 1 they are the parameters, whatever ``averages`` holds. It changes nothing.
        """
        if count == 1:
            return list(parameters)
        keep, take = self.weights(count)
        pairs = zip(averages, parameters, strict=True)
        return [keep * average + take * theta for average, theta in pairs]


@dataclass(frozen=True, kw_only=True, repr=False)
class MovingAverage(Average):
    """a <- keep a + (1 - keep) theta."""

    keep: float = number(0.99, "[0, 1]")

    def weights(self, count: int) -> tuple[float, float]:
        return self.keep, 1 - self.keep


@dataclass(frozen=True, kw_only=True, repr=False)
class EqualAverage(Average):
    """The mean of all parameters so far: a <- (1 - 1/count) a + 1/count theta."""

    def weights(self, count: int) -> tuple[float, float]:
        return (count - 1) / count, 1 / count
