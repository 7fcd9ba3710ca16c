"""The ``xp`` of NumPy: its own functions; all of them are exactly specified."""

from numpy import (
    abs,
    concat,
    matmul,
    maximum,
    minimum,
    ones,
    reshape,
    sign,
    sqrt,
    square,
    transpose,
    where,
    zeros_like,
)

__all__ = [
    "abs", "concat", "matmul", "maximum", "minimum", "ones", "reshape", "sign", "sqrt", "square",
    "transpose", "where", "zeros_like",
]  # fmt: skip
