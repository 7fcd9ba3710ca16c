"""Checks lockstep's claim on one batch: every sum is exact, so no order of summation can matter.

The model itself runs, unchanged, on arrays that check their own operations: each matrix product
and each sum over the batch is compared with the same in whole numbers, where addition is exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import model

ULPS = 4  # the largest difference of two libraries' exponentials


class Checked(np.ndarray):
    """An array on the grid whose products and sums are checked.

    ``faults`` counts the inexact elements of all such arrays, ``checked`` all elements.
    """

    faults = 0
    checked = 0

    def __matmul__(self, other: Any) -> np.ndarray:
        plain = np.asarray(self) @ np.asarray(other)
        left, left_unit = _in_units(self)
        right, right_unit = _in_units(other)
        exact = (left @ right).astype(np.float64) * (left_unit * right_unit)
        Checked._count(plain, exact)
        return plain

    def sum(self, axis: Any = None, **options: Any) -> np.ndarray:  # type: ignore[override]
        plain = np.asarray(self).sum(axis=axis, **options)
        whole, unit = _in_units(self)
        Checked._count(plain, whole.sum(axis=axis, **options).astype(np.float64) * unit)
        return plain

    @classmethod
    def _count(cls, plain: np.ndarray, exact: np.ndarray) -> None:
        cls.checked += plain.size
        cls.faults += int((plain != exact).sum())


def order_dependent(
    weights: Sequence[np.ndarray], images: np.ndarray, labels: np.ndarray, mask: np.ndarray
) -> tuple[int, int]:
    """Count the elements of one lockstep gradient that depend on an order or on a library.

    These are elements that depend on the order of a sum, or on the last bits of ``exp``. Gives
    their number and the number of all elements. Takes float64 arrays as
    ``model.loss_and_gradients`` does.
    """
    Checked.faults = Checked.checked = 0

    def checked_grid(x: np.ndarray) -> np.ndarray:
        return model.on_grid(np.asarray(x)).view(Checked)

    model.loss_and_gradients(weights, images, labels, mask, checked_grid)
    *_, logits = model.forward(weights, images, mask, model.on_grid)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    unit = model.unit(exponentials)
    to_midpoint = np.abs(exponentials / unit - np.floor(exponentials / unit) - 0.5) * unit
    close = to_midpoint <= ULPS * np.spacing(exponentials)
    return Checked.faults + int(close.sum()), Checked.checked + exponentials.size


def _in_units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array on the grid as whole numbers of units, int64, and the unit."""
    unit = model.unit(np.asarray(x))
    whole = np.asarray(x) / unit
    assert (whole == np.rint(whole)).all(), "the operand is not on the grid"
    return whole.astype(np.int64), unit
