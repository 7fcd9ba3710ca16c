"""Floating-point dtypes by name: those of NumPy, and bfloat16 of the package ml_dtypes."""

from typing import Any

import numpy as np


def numpy_dtype(name: str) -> Any:
    """The NumPy dtype with this name: "float16", "bfloat16", "float32" or "float64"."""
    if name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(name)
