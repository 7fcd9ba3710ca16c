"""The shared facts of the experiment: layers, seeds, initial weights, batches, dropout, digests.

Everything random is drawn here, once for all frameworks, from the raw 64-bit words of NumPy's
Philox generator by integer arithmetic of our own. NumPy promises those words; it does not promise
what its ``Generator`` makes of them.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

LAYERS = (784, 128, 10)  # pixels, hidden units, digits
# Kernels are (in, out).
NAMES = ("hidden kernel", "hidden bias", "output kernel", "output bias")
BATCH = 32
DROPOUT = 0.2
SEED = 20121
ARITHMETICS = ("lockstep", "float32", "float64")

_WEIGHTS, _ORDER, _MASKS = range(3)  # the purposes that random words are drawn for


def generator(purpose: int, epoch: int = 0) -> np.random.Philox:
    """The generator of random 64-bit words for one purpose in one epoch."""
    return np.random.Philox(key=SEED + (purpose << 64) + (epoch << 96))


def initial_weights() -> list[np.ndarray]:
    """Glorot uniform kernels (in, out) and zero biases, float32, in the order of ``NAMES``."""
    source = generator(_WEIGHTS)
    weights = []
    for fan_in, fan_out in itertools.pairwise(LAYERS):
        bits = source.random_raw(fan_in * fan_out) >> 11
        unit = bits.astype(np.float64) * 2.0**-53  # uniform in [0, 1)
        kernel = (2 * unit - 1) * np.sqrt(6 / (fan_in + fan_out))
        weights.append(kernel.reshape(fan_in, fan_out).astype(np.float32))
        weights.append(np.zeros(fan_out, np.float32))
    return weights


class Epoch(NamedTuple):
    """The draws of one epoch.

    ``order`` has the examples of each step (steps, 32). ``masks`` tells which hidden units each
    step keeps (steps, 32, 128).
    """

    order: np.ndarray
    masks: np.ndarray

    def first(self, steps: int) -> "Epoch":
        """The draws of the first ``steps`` steps."""
        return Epoch(self.order[:steps], self.masks[:steps])


class Steps(NamedTuple):
    """The results of some steps.

    ``losses`` has the loss before each step, ``lengths`` how far each step moved the weights
    (Euclidean). Both are float64.
    """

    losses: np.ndarray
    lengths: np.ndarray


def draw(epoch: int, size: int) -> Epoch:
    """The draws of one epoch (from 1) over ``size`` examples.

    The examples that do not fill a whole batch at the end are left out.
    """
    steps = size // BATCH
    order = np.argsort(generator(_ORDER, epoch).random_raw(size), kind="stable")[: steps * BATCH]
    masks = np.empty((steps, BATCH * LAYERS[1]), bool)
    source = generator(_MASKS, epoch)
    least = math.ceil(DROPOUT * 2**32)  # whole numbers are compared the fastest
    for mask in masks:  # one by one, so that its draws stay in the cache
        halves = source.random_raw(mask.size // 2).astype("<u8", copy=False).view("<u4")
        np.greater_equal(halves, least, out=mask)
    return Epoch(order.reshape(steps, BATCH), masks.reshape(steps, BATCH, LAYERS[1]))


def batches(epoch: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The draws of one epoch step by step: examples (32,), kept hidden units (32, 128)."""
    return zip(*draw(epoch, size), strict=True)


def digest(weights: Sequence[np.ndarray]) -> str:
    """SHA-256 over all weights in the order of ``NAMES``, kernels as (in, out).

    The bytes are little-endian, row by row.
    """
    sha = hashlib.sha256()
    for array in weights:
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
