"""The shared facts of the experiment: layers, seeds, initial weights, batch order, dropout masks, digests.

Everything random is drawn here, once for all frameworks, from the raw 64-bit words of NumPy's Philox generator by
integer arithmetic of our own. NumPy promises those words; it does not promise what its ``Generator`` makes of them.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

LAYERS = (784, 128, 10)  # pixels, hidden units, digits
NAMES = ("hidden kernel", "hidden bias", "output kernel", "output bias")  # kernels are (in, out)
BATCH = 32
DROPOUT = 0.2
SEED = 20121
ARITHMETICS = ("lockstep", "float32", "float64")

_WEIGHTS, _ORDER, _MASKS = range(3)  # what a stream of random words is for


def words(purpose: int, epoch: int = 0) -> np.random.Philox:
    """The generator of random 64-bit words for one purpose in one epoch."""
    return np.random.Philox(key=SEED + (purpose << 64) + (epoch << 96))


def initial_weights() -> list[np.ndarray]:
    """Glorot uniform kernels (in, out) and zero biases, float32, in the order of ``NAMES``."""
    generator, weights = words(_WEIGHTS), []
    for fan_in, fan_out in itertools.pairwise(LAYERS):
        unit = (generator.random_raw(fan_in * fan_out) >> 11).astype(
            np.float64
        ) * 2.0**-53  # uniform in [0, 1)
        kernel = (2 * unit - 1) * np.sqrt(6 / (fan_in + fan_out))
        weights += [
            kernel.reshape(fan_in, fan_out).astype(np.float32),
            np.zeros(fan_out, np.float32),
        ]
    return weights


class Epoch(NamedTuple):
    """What one epoch draws: the examples of each step (steps, 32), and which hidden units stay (steps, 32, 128)."""

    order: np.ndarray
    kept: np.ndarray

    def first(self, steps: int) -> "Epoch":
        """The draws of so many steps from the beginning."""
        return Epoch(self.order[:steps], self.kept[:steps])


class Steps(NamedTuple):
    """What some steps came to: the loss before each, and how far each moved the weights (Euclidean, float64)."""

    losses: np.ndarray
    lengths: np.ndarray


def draw(epoch: int, size: int) -> Epoch:
    """The draws of one epoch (from 1) over ``size`` examples; what is left of them beyond whole batches is not seen."""
    steps = size // BATCH
    order = np.argsort(words(_ORDER, epoch).random_raw(size), kind="stable")[: steps * BATCH]
    kept = np.empty((steps, BATCH * LAYERS[1]), bool)
    generator, least = (
        words(_MASKS, epoch),
        math.ceil(DROPOUT * 2**32),
    )  # whole numbers are compared the fastest
    for step in kept:  # one by one: its words stay in the cache
        draws = generator.random_raw(step.size // 2).astype("<u8", copy=False).view("<u4")
        np.greater_equal(draws, least, out=step)
    return Epoch(order.reshape(steps, BATCH), kept.reshape(steps, BATCH, LAYERS[1]))


def batches(epoch: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The draws of one epoch step by step: examples (32,) and which hidden units stay (32, 128)."""
    return zip(*draw(epoch, size), strict=True)


def digest(weights: Sequence[np.ndarray]) -> str:
    """SHA-256 over all weights: little-endian bytes in the order of ``NAMES``, kernels as (in, out), row by row."""
    sha = hashlib.sha256()
    for array in weights:
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
