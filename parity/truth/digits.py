"""Arithmetic in 50 digits: MPFR's numbers, with each operation exactly rounded.

>>> mpfr(0.1)
mpfr('0.10000000000000000555111512312578270211815834045410156',169)
"""

import math

import gmpy2
from gmpy2 import fsum, mpfr, sign, sqrt

__all__ = ["DIGITS", "fsum", "mpfr", "sign", "sqrt"]

DIGITS = 50

gmpy2.get_context().precision = math.ceil(DIGITS * math.log2(10)) + 2
