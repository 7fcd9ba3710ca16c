"""Averages of weights along the way.

B. T. Polyak, A. B. Juditsky: Acceleration of Stochastic Approximation by Averaging. SIAM Journal on Control and
Optimization 30 (1992), 838-855 (equal weights).
P. Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization. UAI 2018, arXiv:1803.05407.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from samestep.reference.rule import Array, number

from .part import Part


@dataclass(frozen=True, kw_only=True, repr=False)
class Average(Part):
    """The base of both averages: a <- (1 - w) a + w theta, with a weight w for each theta; the first is copied."""

    def weights(self, count: int) -> tuple[float, float]:
        """What the average keeps and what theta number ``count`` = 2, 3, ... contributes, as doubles."""
        raise NotImplementedError

    def update(self, averages: Sequence[Array], parameters: Sequence[Array], count: int) -> list[Array]:
        """The averages after parameters number ``count`` = 1, 2, ...; of their shapes and dtypes. Mutates nothing.

        With ``count`` 1 they are the parameters, whatever ``averages`` holds.
        """
        if count == 1:
            return list(parameters)
        keep, take = self.weights(count)
        return [keep * a + take * theta for a, theta in zip(averages, parameters, strict=True)]


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
