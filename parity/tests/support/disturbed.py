"""Measure how far rounding can move a whole training run.

The sum of n products, in any order, lies within n u |a| |b| of the exact sum (Higham, section 3.1).
Here NumPy's training runs with every matrix product, and every sum over the batch, moved that far
from its exact value, up or down at random.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.frameworks.numpy.train import Trainer
from samestep.parity.measure.bounded import ROUNDOFF
from samestep.reference import Rule

UNIT = ROUNDOFF["float64"]
TRAINING_IMAGES = 60_000  # of MNIST

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # images, labels, dropout mask


class Pushed(np.ndarray):
    """An array whose matrix products and sums are moved as far as rounding can move them."""

    generator = np.random.Philox(key=0)

    def __matmul__(self, other: Any) -> np.ndarray:
        left, right = np.asarray(self), np.asarray(other)
        size = len(right) * UNIT * (np.abs(left) @ np.abs(right))
        return _push(left @ right, size)

    def sum(self, axis: Any = None, **options: Any) -> np.ndarray:  # type: ignore[override]
        terms = np.asarray(self)
        size = len(terms) * UNIT * np.abs(terms).sum(axis=axis, **options)
        return _push(terms.sum(axis=axis, **options), size)


def _push(exact: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Add or subtract ``size`` elementwise, by the bits of the generator."""
    up = (Pushed.generator.random_raw(exact.size) & 1).reshape(exact.shape).astype(np.float64)
    return exact + (2 * up - 1) * size


def response(rule: Rule, batches: list[Batch], seed: int) -> list[np.ndarray]:
    """How far the weights of plain float64 training move when all its sums are pushed.

    One flat float64 array of all weights per step. The batches are one epoch at most.
    """
    assert len(batches) <= TRAINING_IMAGES // facts.BATCH, "one epoch at most"
    Pushed.generator = np.random.Philox(key=seed)
    plain = Trainer(rule, "float64")
    pushed = Trainer(rule, "float64")
    pushed.grid = lambda x: np.asarray(x).view(Pushed)
    moves = []
    for batch in batches:
        plain.step(*batch)
        pushed.step(*batch)
        moves.append(_flat(plain.weights()) - _flat(pushed.weights()))
    return moves


def _flat(weights: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in weights])
