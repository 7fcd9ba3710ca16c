"""Checks lockstep's claim on one batch: every sum is exact, so no order of summation can matter.

The model itself runs, unchanged, on arrays that watch: each matrix product and each sum over the batch is compared
with the same in whole numbers, where addition is exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import model

ULPS = 4  # how far the exponentials of two libraries may lie apart


class Watched(np.ndarray):
    """An array on the grid whose products and sums are checked; ``faults`` counts the inexact elements."""

    faults = 0
    checked = 0

    def __matmul__(self, other: Any) -> np.ndarray:
        plain, (a, unit_a), (b, unit_b) = (
            np.asarray(self) @ np.asarray(other),
            _whole(self),
            _whole(other),
        )
        Watched._count(plain, (a @ b).astype(np.float64) * (unit_a * unit_b))
        return plain

    def sum(self, axis: Any = None, **options: Any) -> np.ndarray:  # type: ignore[override]
        plain = np.asarray(self).sum(axis=axis, **options)
        whole, unit = _whole(self)
        Watched._count(plain, whole.sum(axis=axis, **options).astype(np.float64) * unit)
        return plain

    @classmethod
    def _count(cls, plain: np.ndarray, exact: np.ndarray) -> None:
        cls.checked += plain.size
        cls.faults += int((plain != exact).sum())


def order_dependent(
    weights: Sequence[np.ndarray], images: np.ndarray, labels: np.ndarray, mask: np.ndarray
) -> tuple[int, int]:
    """How many elements of one lockstep gradient depend on the order of a sum or the last bits of ``exp``; of how many.

    Takes float64 arrays as ``model.loss_and_gradients`` does.
    """
    Watched.faults = Watched.checked = 0
    model.loss_and_gradients(
        weights, images, labels, mask, lambda x: model.on_grid(np.asarray(x)).view(Watched)
    )
    *_, logits = model.forward(weights, images, mask, model.on_grid)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    unit = model.unit(exponentials)
    to_midpoint = np.abs(exponentials / unit - np.floor(exponentials / unit) - 0.5) * unit
    close = to_midpoint <= ULPS * np.spacing(exponentials)
    return Watched.faults + int(close.sum()), Watched.checked + exponentials.size


def _whole(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unit = model.unit(np.asarray(x))
    whole = np.asarray(x) / unit
    assert (whole == np.rint(whole)).all(), "the operand is not on the grid"
    return whole.astype(np.int64), unit
