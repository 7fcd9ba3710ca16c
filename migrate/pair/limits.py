"""How far rounding can part two sides, and what a distance beyond that is called.

Everything is computed in float64, where rounding is 2^29 times smaller than in float32 and a fault
is as large as ever. A is run once more with weights, outputs and gradients times 1 +- 2^-36. How
far each of its values moves is its response. A distance is counted in roundings: 2^-53 times
(response per unit + size). The limit is 2^14.5 of them, halfway between one rounding of float64 and
one of float32. No other number is chosen.

A pair of which a model cannot run in float64 is judged in float32. If A can, by its responses in
float64; else by its responses to a nudge of 2^-12 in float32, per unit. The limit lies halfway
between one rounding of float32 and one of float16 in the same way: 2^6.5 roundings of float32.
"""

import enum
from typing import NamedTuple

import numpy as np

NUDGE = 2.0**-36
NUDGES = {"float64": NUDGE, "float32": 2.0**-12}  # of A, in its dtype; the root of float32's unit
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


def nudged(array: np.ndarray, random: np.random.Generator, dtype: str = "float64") -> np.ndarray:
    """The array with each element times 1 + 2^-36 or 1 - 2^-36; whole numbers stay.

    In float32 it is 2^-12.
    """
    if array.dtype.kind != "f":
        return array
    wide = np.asarray(array, np.float64)
    return wide * (1 + NUDGES[dtype] * random.choice([-1.0, 1.0], array.shape))


def moved(before: np.ndarray | None, after: np.ndarray | None, dtype: str = "float64") -> float:
    """The largest distance that a value of A moved under the nudge, as if that were 2^-36."""
    if before is None or after is None or before.shape != after.shape:
        return 0.0
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    both = np.isfinite(before) & np.isfinite(after)
    largest = float(np.max(np.abs(before[both] - after[both]), initial=0))
    return largest * (NUDGE / NUDGES[dtype])
