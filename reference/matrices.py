"""Matrices whose singular values are moved and whose singular vectors stay.

Products are the array library's own, ``xp.matmul``: a sum in one fixed order would have the same bits everywhere, as in
``samestep.reference.sums``, but takes minutes where a library takes milliseconds.
"""

from typing import Any

from .rule import Array


def orthogonalized(x: Array, a: Any, b: Any, c: Any, steps: int, xp: Any) -> Array:
    """x (rows, columns) with each singular value s replaced ``steps`` times by a s + b s^3 + c s^5.

    With K. Jordan's numbers five steps take all of (0.01, 1] to about 1, and a matrix of no greater norm so to nearly
    the nearest orthogonal one. An ``xp`` that has an ``orthogonalized`` of its own is asked instead: error analysis,
    which knows that the map cannot spread errors more than its slope.
    """
    if hasattr(xp, "orthogonalized"):
        return xp.orthogonalized(x, a, b, c, steps)
    if x.shape[0] > x.shape[1]:
        return xp.transpose(orthogonalized(xp.transpose(x), a, b, c, steps, xp))
    for _ in range(steps):
        x = quintic(x, a, b, c, xp)
    return x


def quintic(x: Array, a: Any, b: Any, c: Any, xp: Any) -> Array:
    """a x + b (x x') x + c (x x')^2 x, where x' is the transpose."""
    square = xp.matmul(x, xp.transpose(x))
    return a * x + xp.matmul(b * square + c * xp.matmul(square, square), x)
