"""Streams: sources of gradients that make the differences between rules visible.

Every element of a stream has its own scale, from 1e-10 to 10, so that some element meets any epsilon at its own size.
Values are exact in float32, so that every dtype above it sees the same gradients.
"""

import math
from collections.abc import Callable

import numpy as np

from samestep.reference import Adafactor, Muon, Rule

SIZE = 97  # elements: one more than a multiple of every vector width
SCALES = np.logspace(-10, 1, SIZE)
SEED = 7

MATRICES = (Adafactor, Muon)  # rules that tell rows from columns
COMPARABLE = 24  # the largest scales, that rounding does not drown in one another

Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]  # draws (steps, n) and time in [0, 1) (steps, 1)

PATTERNS: dict[str, Pattern] = {
    "spread": lambda draws, time: draws,
    "shrinking": lambda draws, time: draws * 10 ** (-6 * time),  # old gradients dominate: AMSGrad's maximum matters
    "growing": lambda draws, time: draws * 10 ** (3 * time - 3),
    "rare": lambda draws, time: np.where(np.abs(draws) > 1, draws, 0),  # a third are not zero, the first often is
}


def uniform(size: int, seed: int) -> np.ndarray:
    """``size`` doubles in [0, 1) from Philox' raw words, the same under every NumPy."""
    return (np.random.Philox(key=seed).random_raw(size) >> 11).astype(np.float64) * 2.0**-53


def normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Nearly normal draws: twelve uniform ones added, six subtracted."""
    size = int(np.prod(shape))
    return (uniform(12 * size, seed).reshape(12, size).sum(axis=0) - 6).reshape(shape)


def gradients(stream: str, steps: int, scales: np.ndarray = SCALES, seed: int = SEED) -> np.ndarray:
    """``steps`` gradients (steps, n) as float64 holding float32 values."""
    if stream not in PATTERNS:
        raise ValueError(f"stream must be one of {', '.join(PATTERNS)}, got {stream!r}")
    time = np.arange(steps)[:, None] / steps
    drawn = PATTERNS[stream](normal((steps, len(scales)), seed), time) * scales
    return drawn.astype(np.float32).astype(np.float64)


def start(size: int = SIZE, seed: int = SEED) -> np.ndarray:
    """Where a trajectory starts, (n,): float32 values of about 1/64, so small that a step's last bits show in them."""
    return (normal((size,), seed + 1) / 64).astype(np.float32).astype(np.float64)


def suit(rule: Rule, flat: np.ndarray) -> np.ndarray:
    """``flat`` (..., n) in the shape that the rule is tried on: as it is, or as many elements as make a matrix that is
    nearly square, (..., rows, columns)."""
    if not isinstance(rule, MATRICES):
        return flat
    if isinstance(rule, Muon):
        flat = flat[..., :SIZE][..., -COMPARABLE:]
    rows = math.isqrt(flat.shape[-1])
    columns = flat.shape[-1] // rows
    return flat[..., : rows * columns].reshape(*flat.shape[:-1], rows, columns)


def rates(lr: float, steps: int) -> list[float]:
    """A learning rate that falls to a quarter at one third of the steps: it parts the kinds of momentum buffer."""
    return [lr if step < steps // 3 else lr / 4 for step in range(steps)]
