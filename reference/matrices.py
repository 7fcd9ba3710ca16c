"""Functions that change the singular values of a matrix and leave its singular vectors.

Products are the array library's own, ``xp.matmul``. A sum in one fixed order would have the same
bits everywhere, as in ``samestep.reference.sums``, but takes minutes where a library takes
milliseconds.
"""

from typing import TypeAlias

from .namespace import Array, Namespace, Scalar

Polynomial: TypeAlias = tuple[Scalar, Scalar, Scalar]  # a, b and c of a s + b s^3 + c s^5


def orthogonalized(x: Array, polynomial: Polynomial, steps: int, xp: Namespace) -> Array:
    """x (rows, columns) with each singular value s replaced ``steps`` times by a s + b s^3 + c s^5.

    With K. Jordan's numbers five steps take all singular values in (0.01, 1] to about 1. A matrix
    with a norm of at most 1 becomes nearly the nearest orthogonal matrix. An ``xp`` that has an
    ``orthogonalized`` of its own is called instead (see ``Namespace``).
    """
    if hasattr(xp, "orthogonalized"):
        return xp.orthogonalized(x, polynomial, steps)
    if x.shape[0] > x.shape[1]:
        return xp.transpose(orthogonalized(xp.transpose(x), polynomial, steps, xp))
    for _ in range(steps):
        x = quintic(x, polynomial, xp)
    return x


def quintic(x: Array, polynomial: Polynomial, xp: Namespace) -> Array:
    """a x + b (x x') x + c (x x')^2 x, where x' is the transpose."""
    a, b, c = polynomial
    square = xp.matmul(x, xp.transpose(x))
    return a * x + xp.matmul(b * square + c * xp.matmul(square, square), x)
