"""How far rounding can move a whole training run: measured by making every sum as wrong as any order could make it.

The sum of n products, in any order, lies within n u |a| |b| of the exact one (Higham, section 3.1). Here NumPy's own
training runs with every matrix product, and every sum over the batch, pushed that far, up or down at random.
"""

from typing import Any

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.frameworks.numpy.train import Trainer
from samestep.parity.measure.bounded import ROUNDOFF
from samestep.reference import Rule

UNIT = ROUNDOFF["float64"]


class Pushed(np.ndarray):
    """An array whose products and sums come out as wrong as they may."""

    generator = np.random.Philox(key=0)

    def __matmul__(self, other: Any) -> np.ndarray:
        a, b = np.asarray(self), np.asarray(other)
        return _push(a @ b, len(b) * UNIT * (np.abs(a) @ np.abs(b)))

    def sum(self, axis: Any = None, **options: Any) -> np.ndarray:  # type: ignore[override]
        a = np.asarray(self)
        return _push(a.sum(axis=axis, **options), len(a) * UNIT * np.abs(a).sum(axis=axis, **options))


def _push(exact: np.ndarray, size: np.ndarray) -> np.ndarray:
    up = (Pushed.generator.random_raw(exact.size) & 1).reshape(exact.shape).astype(np.float64)
    return exact + (2 * up - 1) * size


def response(rule: Rule, batches: list[tuple[np.ndarray, np.ndarray, np.ndarray]], seed: int) -> list[np.ndarray]:
    """How far the weights of plain float64 training move, step by step, when all its sums are pushed; flat arrays."""
    Pushed.generator = np.random.Philox(key=seed)
    plain, pushed = Trainer(rule, "float64"), Trainer(rule, "float64")
    pushed.grid = lambda x: np.asarray(x).view(Pushed)
    gaps = []
    for batch in batches:
        plain.step(*batch)
        pushed.step(*batch)
        gaps.append(np.concatenate([(a - b).ravel() for a, b in zip(plain.weights(), pushed.weights(), strict=True)]))
    assert len(gaps) <= 60000 // facts.BATCH, "one epoch at most"
    return gaps
