"""Scalar arithmetic for coefficients and schedules, on plain Python numbers.

A framework that computes coefficients inside its graph has functions of the same names. They take
the same steps in the same order, so that both give the same double.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence

from .namespace import Scalar

EXPONENT_BITS = 32  # step numbers up to 2**32


def squares(base: Scalar, count: int = EXPONENT_BITS) -> Sequence[Scalar]:
    """base**(2**k) for the first ``count`` bits k of a step number, or for all bits.

    By repeated squaring; for floats it is all of them, and cached.
    """
    # other types are not cached: an equal number may have another arithmetic
    # equivalent mutant "type(base) is float -> False": it caches nothing, and computes the same
    return _cached_squares(base) if type(base) is float else _squares(base, count)


def _squares(base: Scalar, count: int = EXPONENT_BITS) -> Sequence[Scalar]:
    table = [base]
    while len(table) < count:
        table.append(table[-1] * table[-1])
    return tuple(table)


_cached_squares = functools.lru_cache(maxsize=256)(_squares)


def integer_power(base: Scalar, exponent: int) -> Scalar:
    """base**exponent for a whole exponent, with the same bits everywhere.

    The squares that the exponent's bits name are multiplied pairwise in a fixed tree. ``base **
    exponent`` is not used: it calls the platform's ``pow``, whose last bit differs between
    libraries.
    """
    # equivalent mutant "{1 -> 2} <<": further factors are 1
    # equivalent mutant "- -> +": further factors are 1
    # equivalent mutant "max(exponent, {1 -> 2})": further factors are 1
    width = 1 << (max(exponent, 1).bit_length() - 1).bit_length()  # beyond it all factors are one
    powers = squares(base, width)[:width]
    factors = [square if exponent >> k & 1 else 1.0 for k, square in enumerate(powers)]
    while len(factors) > 1:
        half = len(factors) // 2
        factors = [low * high for low, high in zip(factors[:half], factors[half:], strict=True)]
    return factors[0]


def power(base: float, exponent: float) -> float:
    """base**exponent for a real exponent; by square roots if it is a few quarters.

    Otherwise it is the platform's ``pow``, whose last bit differs between libraries.
    """
    by_roots = quarters(base, exponent, math.sqrt)
    return base**exponent if by_roots is None else by_roots


def quarters(base: Scalar, exponent: float, sqrt: Callable[[Scalar], Scalar]) -> Scalar | None:
    """base**exponent as a product of square roots, which are exactly specified.

    None unless the exponent is 0, 1/4, 1/2, ... or 2.
    """
    if 4 * exponent not in range(9):
        return None
    root = sqrt(base)
    whole = [base] * int(exponent)
    half = [root] * (int(2 * exponent) % 2)
    quarter = [sqrt(root)] * (int(4 * exponent) % 2)
    return functools.reduce(operator.mul, whole + half + quarter, 1.0)


def sqrt(x: float) -> float:
    """The correctly rounded square root."""
    return math.sqrt(x)


def where(condition: bool, yes: float, no: float) -> float:
    """``yes`` if the condition holds, else ``no``."""
    return yes if condition else no


def ratio(part: float, whole: float) -> float:
    """part / whole as a double, for ``part`` 0 or more."""
    return part / whole
