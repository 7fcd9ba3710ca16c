"""The types that rules are written with: arrays, scalars, and the functions on both."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

Array: TypeAlias = Any  # an array of the library behind ``xp``, of one real dtype
State: TypeAlias = dict[str, Array]  # what a rule keeps from step to step, by name
Scalar: TypeAlias = Any  # a float, or a float64 tensor of a framework without dimensions


class Namespace(Protocol):
    """The functions of an array library that rules use; ``numpy`` itself is one.

    Everything else that rules do is ``+ - * / **``, comparison and slicing of the arrays
    themselves. Functions are elementwise and keep shape and dtype unless they say otherwise.

    A namespace may also have ``total(x, axis)`` and ``orthogonalized(x, polynomial, steps)``. They
    then replace the functions of these names in ``sums`` and ``matrices``: PyTorch's ``total``
    makes the same additions in fewer operations, and error analysis bounds both as a whole. They
    are optional so that an array library can be a namespace as it is.
    """

    def abs(self, x: Array, /) -> Array:
        """The absolute value."""

    def concat(self, arrays: Sequence[Array], axis: int, /) -> Array:
        """The arrays behind each other along the axis."""

    def matmul(self, a: Array, b: Array, /) -> Array:
        """The product of two matrices."""

    def maximum(self, a: Array, b: Array, /) -> Array:
        """The larger of two arrays of one shape; NaN if one of them is."""

    def minimum(self, a: Array, b: Array, /) -> Array:
        """The smaller of two arrays of one shape; NaN if one of them is."""

    def ones(self, shape: Sequence[int], /, *, dtype: Any) -> Array:
        """An array of ones."""

    def reshape(self, x: Array, shape: Sequence[int], /) -> Array:
        """The same elements in another shape, the last dimension changing fastest."""

    def sign(self, x: Array, /) -> Array:
        """-1, 0 or 1; NaN for NaN."""

    def sqrt(self, x: Array, /) -> Array:
        """The correctly rounded square root; NaN for negative numbers."""

    def square(self, x: Array, /) -> Array:
        """The square."""

    def transpose(self, x: Array, /) -> Array:
        """The transpose of a matrix."""

    def where(self, condition: Array, yes: Array, no: Array, /) -> Array:
        """``yes`` where the condition holds, ``no`` elsewhere."""

    def zeros_like(self, x: Array, /) -> Array:
        """An array of zeros of x's shape and dtype."""


class Scalars(Protocol):
    """The functions on scalars that coefficients and schedules use; ``scalars`` is one, on floats.

    A framework that computes coefficients inside its graph has functions of the same names, which
    compute the same double.
    """

    def integer_power(self, base: Scalar, exponent: Scalar, /) -> Scalar:
        """base**exponent for a whole exponent that is not negative."""

    def power(self, base: Scalar, exponent: Scalar, /) -> Scalar:
        """base**exponent for a real exponent."""

    def sqrt(self, x: Scalar, /) -> Scalar:
        """The correctly rounded square root."""

    def where(self, condition: Any, yes: Scalar, no: Scalar, /) -> Scalar:
        """``yes`` if the condition holds, else ``no``."""

    def ratio(self, part: Scalar, whole: Scalar, /) -> Scalar:
        """part / whole as a double, for ``part`` 0 or more."""
