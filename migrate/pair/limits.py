"""How far rounding can part two sides, and what a distance beyond that is called.

Everything is computed in float64, where rounding is 2^29 times smaller than in float32 and a fault
is as large as ever. A is run once more with weights, outputs and gradients times 1 +- 2^-36. How
far each of its values moves is its response. A distance is counted in roundings: 2^-53 times
(response per unit + size). The limit is 2^14.5 of them, halfway between one rounding of float64 and
one of float32. No other number is chosen.

A Keras model that cannot run in float64 is judged in float32, by the responses of A in float64. The
limit lies halfway between one rounding of float32 and one of float16 in the same way: 2^6.5
roundings of float32.
"""

import enum
from typing import NamedTuple

import numpy as np

NUDGE = 2.0**-36
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}
MOST_ROUNDINGS = {"float64": 2.0**14.5, "float32": 2.0**6.5}


class Verdict(enum.StrEnum):
    """What is said of a stage, a finding or a pair."""

    SAME = "same"
    BELOW = "below float32"
    DIFFERENT = "different"


class Distance(NamedTuple):
    """The largest distance of two arrays, and the limits beside it, in the arrays' units."""

    distance: float
    limit: float
    roundings: float
    verdict: Verdict


def measure(a: np.ndarray, b: np.ndarray, response: float, dtype: str = "float64") -> Distance:
    """Judge the distance of two arrays of one shape; ``response`` is that to a nudge of 2^-36.

    ``dtype`` is that in which B was computed.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    finite = np.isfinite(a)
    size = float(np.max(np.abs(a[finite]), initial=0))
    distance = float(np.max(np.abs(a[finite] - b[finite]), initial=0))
    if np.isnan(distance) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        distance = np.inf
    scale = response / NUDGE + size
    rounding = UNIT[dtype] * scale
    limit = MOST_ROUNDINGS[dtype] * rounding
    if distance <= limit:
        verdict = Verdict.SAME
    elif distance <= UNIT["float32"] * scale:
        verdict = Verdict.BELOW
    else:
        verdict = Verdict.DIFFERENT
    roundings = distance / rounding if rounding else (np.inf if distance else 0.0)
    return Distance(distance, limit, roundings, verdict)


def nudged(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The array with each element times 1 + 2^-36 or 1 - 2^-36; whole numbers stay."""
    if array.dtype.kind != "f":
        return array
    return array * (1 + NUDGE * random.choice([-1.0, 1.0], array.shape))


def moved(before: np.ndarray | None, after: np.ndarray | None) -> float:
    """The largest distance that a value of A moved under the nudge."""
    if before is None or after is None or before.shape != after.shape:
        return 0.0
    both = np.isfinite(before) & np.isfinite(after)
    return float(np.max(np.abs(before[both] - after[both]), initial=0))
