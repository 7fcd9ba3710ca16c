"""Streams: sources of gradients that make the differences between rules visible.

Every element of a stream has its own scale, from 1e-10 to 10. So for every epsilon there is an
element whose gradients have about the same size. Values are exact in float32, so that float32 and
float64 runs get the same gradients.
"""

import math
from collections.abc import Callable

import numpy as np

from samestep.reference import Adafactor, Muon, Rule

SIZE = 97  # elements; one more than a multiple of every vector width of a processor
SCALES = np.logspace(-10, 1, SIZE)
SEED = 7

MATRICES = (Adafactor, Muon)  # rules that treat rows and columns differently
COMPARABLE = 24  # the elements of largest scale, whose sums do not lose the smallest in rounding

# A pattern gets draws (steps, n) and the time in [0, 1) (steps, 1), and returns gradients.
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]

PATTERNS: dict[str, Pattern] = {
    "spread": lambda draws, time: draws,
    # Old gradients dominate, so that AMSGrad's maximum has an effect.
    "shrinking": lambda draws, time: draws * 10 ** (-6 * time),
    "growing": lambda draws, time: draws * 10 ** (3 * time - 3),
    # Two thirds are zero, often the first one, too.
    "rare": lambda draws, time: np.where(np.abs(draws) > 1, draws, 0),
}


def uniform(size: int, seed: int) -> np.ndarray:
    """``size`` doubles in [0, 1), (size,), from the raw bits of Philox: equal under every NumPy."""
    return (np.random.Philox(key=seed).random_raw(size) >> 11).astype(np.float64) * 2.0**-53


def normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Nearly normal draws of the given shape: each is the sum of twelve uniform draws, minus 6."""
    size = int(np.prod(shape))
    return (uniform(12 * size, seed).reshape(12, size).sum(axis=0) - 6).reshape(shape)


def gradients(stream: str, steps: int, scales: np.ndarray = SCALES, seed: int = SEED) -> np.ndarray:
    """The gradients of a stream, (steps, n): float64 arrays with float32 values.

    ``stream`` is a name in ``PATTERNS``, else ValueError. ``scales`` (n,) multiply the elements.
    """
    if stream not in PATTERNS:
        raise ValueError(f"stream must be one of {', '.join(PATTERNS)}, got {stream!r}")
    time = np.arange(steps)[:, None] / steps
    drawn = PATTERNS[stream](normal((steps, len(scales)), seed), time) * scales
    return drawn.astype(np.float32).astype(np.float64)


def start(size: int = SIZE, seed: int = SEED) -> np.ndarray:
    """The start of a trajectory, (n,): float32 values of about 1/64.

    They are so small that adding a step to them keeps the last bits of the step.
    """
    return (normal((size,), seed + 1) / 64).astype(np.float32).astype(np.float64)


def suit(rule: Rule, flat: np.ndarray) -> np.ndarray:
    """``flat`` (..., n) in the shape on which the rule is tried.

    For a rule in ``MATRICES`` it becomes a nearly square matrix, (..., rows, columns), and the last
    elements that do not fit are dropped. Muon gets only the ``COMPARABLE`` elements, because its
    products add all of them. For other rules ``flat`` is returned as it is.
    """
    if not isinstance(rule, MATRICES):
        return flat
    if isinstance(rule, Muon):
        flat = flat[..., :SIZE][..., -COMPARABLE:]
    rows = math.isqrt(flat.shape[-1])
    columns = flat.shape[-1] // rows
    return flat[..., : rows * columns].reshape(*flat.shape[:-1], rows, columns)


def rates(lr: float, steps: int) -> list[float]:
    """The learning rates of all steps: ``lr``, and a quarter of it from one third of the steps on.

    The change shows whether a momentum buffer accumulates gradients or steps.
    """
    return [lr if step < steps // 3 else lr / 4 for step in range(steps)]
