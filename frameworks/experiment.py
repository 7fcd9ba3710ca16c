"""The shared facts of the experiment: layers, seeds, initial weights, batch order, dropout masks, digests.

Everything random is drawn here, once for all frameworks, from the raw 64-bit words of NumPy's Philox generator by
integer arithmetic of our own. NumPy promises those words; it does not promise what its ``Generator`` makes of them.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence

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
        unit = (generator.random_raw(fan_in * fan_out) >> 11).astype(np.float64) * 2.0**-53  # uniform in [0, 1)
        kernel = (2 * unit - 1) * np.sqrt(6 / (fan_in + fan_out))
        weights += [kernel.reshape(fan_in, fan_out).astype(np.float32), np.zeros(fan_out, np.float32)]
    return weights


def batches(epoch: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The steps of one epoch (from 1) over ``size`` examples: indices (32,) and which hidden units stay (32, 128)."""
    order = np.argsort(words(_ORDER, epoch).random_raw(size), kind="stable")
    generator = words(_MASKS, epoch)
    shape = BATCH, LAYERS[1]
    for start in range(0, size - BATCH + 1, BATCH):
        draws = generator.random_raw(shape[0] * shape[1] // 2).astype("<u8").view("<u4").reshape(shape)
        yield order[start : start + BATCH], draws >= DROPOUT * 2**32


def digest(weights: Sequence[np.ndarray]) -> str:
    """SHA-256 over all weights: little-endian bytes in the order of ``NAMES``, kernels as (in, out), row by row."""
    sha = hashlib.sha256()
    for array in weights:
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()
