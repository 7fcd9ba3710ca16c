"""The ``xp`` of NumPy: its own functions; all of them are exactly specified."""

from numpy import maximum, sqrt, square, zeros_like

__all__ = ["maximum", "sqrt", "square", "zeros_like"]
