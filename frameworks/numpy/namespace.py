"""The ``xp`` of NumPy: its own functions; all of them are exactly specified."""

from numpy import abs, concat, maximum, minimum, ones, reshape, sign, sqrt, square, where, zeros_like

__all__ = [
    "abs", "concat", "maximum", "minimum", "ones", "reshape", "sign", "sqrt", "square", "where", "zeros_like",
]  # fmt: skip
