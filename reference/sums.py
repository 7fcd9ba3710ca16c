"""Sums in one fixed order.

Frameworks sum in orders of their own, and the order decides the last bits. Here the order is part
of the definition, so that all frameworks give the same bits.
"""

from .namespace import Array, Namespace


def total(x: Array, xp: Namespace, axis: int = -1) -> Array:
    """The sum along the last axis (-1) or the last but one (-2), which stays, with length 1.

    The elements beyond the largest power of two are added to the first ones. Then the second half
    is added to the first until one element is left. The sum of no elements is zero. An ``xp`` that
    has a ``total`` of its own is called instead (see ``Namespace``).
    """
    if hasattr(xp, "total"):
        return xp.total(x, axis)
    size = int(x.shape[axis])
    if not size:
        shape = [*x.shape[:axis], 1, *x.shape[len(x.shape) + axis + 1 :]]
        return xp.ones(shape, dtype=x.dtype) * 0
    power = 1 << (size.bit_length() - 1)
    # equivalent mutant "power < size -> True": of a power of two nothing is joined
    # equivalent mutant "< -> <=": of a power of two nothing is joined
    if power < size:
        joined = _part(x, 0, size - power, axis) + _part(x, power, size, axis)
        x = xp.concat([joined, _part(x, size - power, power, axis)], axis)
    while power > 1:
        power //= 2
        # equivalent mutant "2 -> 3": x has no more than 2 power elements
        x = _part(x, 0, power, axis) + _part(x, power, 2 * power, axis)
    return x


def mean(x: Array, xp: Namespace, axis: int = -1) -> Array:
    """The mean along the last axis or the last but one, which stays, with length 1.

    Elements are multiplied before they are added: TensorFlow's graph compiler would merge a factor
    of the sum with the next coefficient.
    """
    return total(x * (1 / max(1, int(x.shape[axis]))), xp, axis)


def total_square(x: Array, xp: Namespace) -> Array:
    """The sum of the squares of all elements, without dimensions; squares may overflow.

    A matrix is summed both ways, rows first and columns first, and the mean of both is taken. One
    framework's kernel of a layer is the other's transpose, and this sum has the same bits for both.
    """
    x = xp.square(x)
    if len(x.shape) > 1:
        x = total(total(x, xp, -1), xp, -2) * 0.5 + total(total(x, xp, -2), xp, -1) * 0.5
    return total(xp.reshape(x, (-1,)), xp)[0]


def norm(x: Array, xp: Namespace) -> Array:
    """The Euclidean norm of all elements, without dimensions."""
    return xp.sqrt(total_square(x, xp))


def _part(x: Array, begin: int, end: int, axis: int) -> Array:
    return x[..., begin:end] if axis == -1 else x[..., begin:end, :]
