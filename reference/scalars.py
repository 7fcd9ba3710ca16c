"""Scalar arithmetic for coefficients, on plain Python numbers.

A framework that computes coefficients inside its graph brings functions of the same names which take the same steps
in the same order, so that both give the same double.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

EXPONENT_BITS = 32  # step numbers up to 2**32


def squares(base: Any) -> Sequence[Any]:
    """base**(2**k) for every bit k of a step number, by repeated squaring; of a float they are kept."""
    # equivalent mutant "type(base) is float -> False": it caches nothing, and computes the same
    return _kept_squares(base) if type(base) is float else _squares(base)  # an equal number may be of other arithmetic


def _squares(base: Any) -> Sequence[Any]:
    table = [base]
    while len(table) < EXPONENT_BITS:
        table.append(table[-1] * table[-1])
    return tuple(table)


_kept_squares = functools.lru_cache(maxsize=256)(_squares)


def integer_power(base: float, exponent: int) -> float:
    """base**exponent for a whole exponent: the squares that its bits name, multiplied pairwise in a fixed tree.

    ``base ** exponent`` is not used: it calls the platform's ``pow``, whose last bit differs between libraries.
    """
    # equivalent mutant "{1 -> 2} <<": further factors are 1
    # equivalent mutant "- -> +": further factors are 1
    # equivalent mutant "max(exponent, {1 -> 2})": further factors are 1
    width = 1 << (max(exponent, 1).bit_length() - 1).bit_length()  # beyond it all factors are one
    factors = [square if exponent >> k & 1 else 1.0 for k, square in enumerate(squares(base)[:width])]
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


def quarters(base: Any, exponent: float, sqrt: Callable[[Any], Any]) -> Any:
    """base**exponent as a product of square roots, which are exactly specified; None unless 4 exponent is 0, ... 8."""
    if 4 * exponent not in range(9):
        return None
    root = sqrt(base)
    factors = [base] * int(exponent) + [root] * (int(2 * exponent) % 2) + [sqrt(root)] * (int(4 * exponent) % 2)
    return functools.reduce(operator.mul, factors, 1.0)


def sqrt(x: float) -> float:
    """The correctly rounded square root."""
    return math.sqrt(x)


def where(condition: bool, yes: float, no: float) -> float:
    """``yes`` if the condition holds, else ``no``."""
    return yes if condition else no


def ratio(part: int, whole: int) -> float:
    """part / whole as a double, for whole numbers with ``part`` 0 or more."""
    return part / whole
