"""Verdicts: are two trajectories the same, to within their limits?"""

import enum
from typing import NamedTuple

import numpy as np

from .limits import SAFETY, Limits
from .trajectory import Trajectory
from .trial import Trial


class Agreement(enum.Enum):
    """How far two trajectories agree."""

    EQUAL_BITS = "equal bits"
    WITHIN_ROUNDING = "equal within rounding"
    DIFFERENT = "differ"


class Verdict(NamedTuple):
    """The outcome of one comparison, at the step and element where it came closest to its limit or
    went beyond.

    ``distance`` and ``limit`` are shares of the path: of the farthest that any element of the
    tensor has travelled by then. ``step`` counts from 1, ``element`` is an index into the flat
    tensor, ``values`` are the expected and the actual value there.
    """

    agreement: Agreement
    distance: float
    limit: float
    step: int
    element: int
    values: tuple[float, float]
    tensor: str = ""

    @property
    def holds(self) -> bool:
        """True if the trajectories are the same within the limit."""
        return self.agreement is not Agreement.DIFFERENT

    @property
    def excess(self) -> float:
        """The distance in limits: above 1 the trajectories differ; infinite where nothing may
        differ.
        """
        if not self.distance:
            return 0.0
        return self.distance / self.limit if self.limit else np.inf

    def __str__(self) -> str:
        word = "within" if self.holds else "BEYOND"
        expected, actual = self.values
        if not np.isfinite(self.distance):
            return (
                f"no distance, since one is no finite number, at step {self.step}, element "
                f"{self.element}: {expected!r} against {actual!r}"
            )
        return (
            f"distance {self.distance:.3g} of the path, {word} the limit {self.limit:.3g}, "
            f"at step {self.step}, element {self.element}: {expected!r} against {actual!r}"
        )


def judge(trial: Trial, expected: Trajectory, actual: Trajectory, limits: Limits) -> Verdict:
    """Compare two trajectories of a trial; the verdict of the tensor that comes closest to its
    limit or beyond.
    """
    verdicts = by_tensor(trial, expected, actual, limits)
    worst = max(verdicts, key=lambda verdict: (not verdict.holds, verdict.excess))
    equal = all(verdict.agreement is Agreement.EQUAL_BITS for verdict in verdicts)
    if worst.holds and not equal:
        return worst._replace(agreement=Agreement.WITHIN_ROUNDING)
    return worst


def by_tensor(
    trial: Trial, expected: Trajectory, actual: Trajectory, limits: Limits
) -> list[Verdict]:
    """The verdict on each tensor of the trial, in its order."""
    return [
        judge_tensor(
            start, expected.thetas[name], actual.thetas[name], limits.thetas[name]
        )._replace(tensor=name)
        for name, start in trial.start.items()
    ]


def judge_tensor(
    start: np.ndarray, expected: np.ndarray, actual: np.ndarray, bounds: np.ndarray
) -> Verdict:
    """Compare two trajectories (steps, *shape) of one tensor that starts at ``start`` (*shape).

    ``actual`` may nowhere be farther from ``expected`` than ``SAFETY`` times its bound (steps,
    *shape). Not-a-number agrees with not-a-number alone, infinity with itself. ValueError if the
    shapes differ or the arrays are empty.
    """
    if not expected.shape == actual.shape == bounds.shape or not expected.size:
        raise ValueError(
            f"shapes must be equal and not empty, got {expected.shape}, {actual.shape}, "
            f"{bounds.shape}"
        )
    rows = (len(expected), -1)
    flat_expected = expected.astype(np.float64).reshape(rows)
    flat_actual = actual.astype(np.float64).reshape(rows)
    gaps = measure_gaps(flat_expected, flat_actual, bounds.astype(np.float64).reshape(rows))
    at = np.unravel_index(np.argmax(gaps.excess), gaps.excess.shape)
    path = paths(start, np.nan_to_num(flat_expected))[at[0]] or 1.0
    agreement = Agreement.WITHIN_ROUNDING if gaps.excess[at] <= 1 else Agreement.DIFFERENT
    if not gaps.gap.any():
        agreement = Agreement.EQUAL_BITS
    # one of the two is no number, the other another; or so large is the path
    infinite = not np.isfinite(gaps.gap[at]) or not np.isfinite(path)
    infinite = infinite and agreement is Agreement.DIFFERENT
    with np.errstate(all="ignore"):
        limit = np.nan_to_num(np.nan_to_num(gaps.limit[at]) / path)
        distance = gaps.gap[at] / path
    return Verdict(
        agreement=agreement,
        distance=np.inf if infinite else float(distance),
        limit=float(limit),
        step=int(at[0]) + 1,
        element=int(at[1]),
        values=(float(flat_expected[at]), float(flat_actual[at])),
    )


class Gaps(NamedTuple):
    """Element by element: the gap of two arrays, the limit, and their ratio (infinite where nothing
    may differ).
    """

    gap: np.ndarray
    limit: np.ndarray
    excess: np.ndarray


def measure_gaps(expected: np.ndarray, actual: np.ndarray, bounds: np.ndarray) -> Gaps:
    """The gaps of two float64 arrays; the limit is ``SAFETY`` times the bound.

    Not-a-number agrees with not-a-number alone, infinity with itself.
    """
    with np.errstate(all="ignore"):
        same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
        gap = np.where(same, 0.0, np.abs(expected - actual))
        gap = np.where(np.isnan(gap), np.inf, gap)
        limit = SAFETY * bounds
        excess = np.where(gap == 0, 0.0, gap / limit)
        return Gaps(gap, limit, np.where(np.isnan(excess), np.inf, excess))


def paths(start: np.ndarray, thetas: np.ndarray) -> np.ndarray:
    """The farthest that any element has travelled by each step, (steps,); infinite where no float64
    holds it.
    """
    begin = start.ravel()[None].astype(np.float64)
    flat = thetas.reshape(len(thetas), -1).astype(np.float64)
    with np.errstate(over="ignore"):
        moves = np.abs(np.diff(flat, axis=0, prepend=begin))
        return np.cumsum(moves, axis=0).max(axis=1)
