"""Numbers that carry a bound on their own rounding error, and rules computed with them.

The rules run on any arithmetic, so they also run on ``Bounded`` numbers. This is a running error
analysis (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002,
section 3.3). Each parameter gets a bound on how far rounding can have moved it, for this rule,
these gradients and this dtype. The bound holds for every order of operations that a compiler may
choose.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule, scalars
from samestep.reference.matrices import quintic

ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
SMALLEST = {  # the smallest normal numbers
    "bfloat16": 2.0**-126,
    "float16": 2.0**-14,
    "float32": 2.0**-126,
    "float64": 2.0**-1022,
}


class Bounded:
    """A number or array, and a bound on how far rounding can have moved it.

    ``value`` is computed in float64. ``error`` (like ``value``) bounds the distance between a
    result computed in ``dtype`` and the exact result.
    """

    __array_ufunc__ = None  # tells NumPy to leave the arithmetic to this class

    def __init__(self, value: Any, error: Any = 0.0, dtype: str = "float64") -> None:
        self.value = np.asarray(value, np.float64)
        self.error = np.asarray(error, np.float64)
        self.dtype = dtype

    def _rounded(self, value: np.ndarray, error: np.ndarray) -> "Bounded":
        """The result of one operation, which is rounded and may be flushed to zero."""
        if not np.ndim(value) and not np.ndim(error):
            return self._rounded_number(float(value), float(error))
        rounding = ROUNDOFF[self.dtype] * (np.abs(value) + error)
        flushed = np.where((value != 0) | (error != 0), SMALLEST[self.dtype], 0.0)
        return Bounded(value, error + rounding + flushed, self.dtype)

    def _rounded_number(self, value: float, error: float) -> "Bounded":
        """The same of one number: Python's floats have the same bits and take a tenth as long."""
        rounding = ROUNDOFF[self.dtype] * (abs(value) + error)
        flushed = SMALLEST[self.dtype] if value != 0 or error != 0 else 0.0
        return Bounded(value, error + rounding + flushed, self.dtype)

    def _bounded(self, x: Any) -> "Bounded":
        """``x`` as a bounded number; a plain number is exact."""
        return x if isinstance(x, Bounded) else Bounded(x, 0.0, self.dtype)

    def __neg__(self) -> "Bounded":
        return Bounded(-self.value, self.error, self.dtype)

    def __add__(self, operand: Any) -> "Bounded":
        operand = self._bounded(operand)
        return self._rounded(self.value + operand.value, self.error + operand.error)

    def __sub__(self, operand: Any) -> "Bounded":
        return self + -self._bounded(operand)

    def __mul__(self, operand: Any) -> "Bounded":
        operand = self._bounded(operand)
        if not self.value.ndim and not operand.value.ndim:
            return self._times_number(operand)
        first_order = np.abs(self.value) * operand.error + np.abs(operand.value) * self.error
        error = first_order + self.error * operand.error
        return self._rounded(self.value * operand.value, error)

    def _times_number(self, operand: "Bounded") -> "Bounded":
        """The product of two numbers, with the bits of ``__mul__``: powers are made of many."""
        x, of_x = float(self.value), float(self.error)
        y, of_y = float(operand.value), float(operand.error)
        first_order = abs(x) * of_y + abs(y) * of_x
        return self._rounded_number(x * y, first_order + of_x * of_y)

    def __truediv__(self, operand: Any) -> "Bounded":
        operand = self._bounded(operand)
        with np.errstate(all="ignore"):
            value = self.value / operand.value
            smallest_divisor = np.abs(operand.value) - operand.error
            quotient_error = (self.error + np.abs(value) * operand.error) / smallest_divisor
            error = np.where(smallest_divisor > 0, quotient_error, np.inf)
        return self._rounded(value, error)

    def __radd__(self, operand: Any) -> "Bounded":
        return self + operand

    def __rsub__(self, operand: Any) -> "Bounded":
        return self._bounded(operand) - self

    def __rmul__(self, operand: Any) -> "Bounded":
        return self * operand

    def __rtruediv__(self, operand: Any) -> "Bounded":
        return self._bounded(operand) / self

    def __pow__(self, exponent: "Bounded") -> "Bounded":
        """A real power.

        It counts as two operations, because libraries err by a few units in the last place.
        """
        p = exponent.value
        value = self.value**p
        with np.errstate(all="ignore"):
            low = np.maximum(self.value - self.error, 0) ** p
            high = np.maximum(self.value + self.error, 0) ** p
            of_exponent = np.abs(np.log(self.value)) * np.abs(value) * exponent.error
        of_base = np.maximum(np.abs(low - value), np.abs(high - value))
        error = of_base + np.where(value == 0, 0.0, of_exponent)
        return self._rounded(value, self._rounded(value, error).error)

    def __gt__(self, operand: Any) -> np.ndarray:
        return self.value > self._bounded(operand).value

    def __lt__(self, operand: Any) -> np.ndarray:
        return self.value < self._bounded(operand).value

    def __getitem__(self, key: Any) -> "Bounded":
        return Bounded(self.value[key], self.error[key], self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape


def _sqrt(x: Bounded) -> Bounded:
    with np.errstate(invalid="ignore"):
        root = np.sqrt(x.value)
        high = np.sqrt(x.value + x.error)
        low = np.sqrt(np.maximum(x.value - x.error, 0))
        error = np.maximum(high - root, root - low)
    return x._rounded(root, error)


def _abs(x: Bounded) -> Bounded:
    return Bounded(np.abs(x.value), x.error, x.dtype)


def _sign(x: Bounded) -> Bounded:
    """The sign of x. Its error is 2 where rounding can turn the sign, else 0."""
    wrong_sign = 2.0 * (x.error > 0)
    error = np.where(x.error >= np.abs(x.value), wrong_sign, 0.0)
    return Bounded(np.sign(x.value), error, x.dtype)


def _choose(x: Bounded, y: Bounded, choose: Callable[..., np.ndarray]) -> Bounded:
    """The larger or the smaller of two, by ``choose``: np.maximum or np.minimum.

    The error is that of the chosen one, or the larger of both where rounding can change the choice.
    """
    value = choose(x.value, y.value)
    unsure = np.abs(x.value - y.value) <= x.error + y.error
    of_chosen = np.where(value == x.value, x.error, y.error)
    error = np.where(unsure, np.maximum(x.error, y.error), of_chosen)
    return Bounded(value, error, x.dtype)


def _where(condition: Any, yes: Any, no: Any) -> Any:
    """``yes`` where the condition is true, else ``no``.

    For arrays the condition is taken as certain, since rules use only exact signs as conditions.
    """
    if not isinstance(condition, np.ndarray) or not condition.ndim:
        return yes if condition else no
    value = np.where(condition, yes.value, no.value)
    error = np.where(condition, yes.error, no.error)
    return Bounded(value, error, yes.dtype)


def _total(x: Bounded, axis: int) -> Bounded:
    """The sum along an axis, in any order.

    Each of the n - 1 additions rounds, and no partial sum exceeds the sum of magnitudes (Higham,
    section 4.2).
    """
    additions = max(x.shape[axis] - 1, 0)
    sizes = (np.abs(x.value) + x.error).sum(axis=axis, keepdims=True)
    growth = additions * ROUNDOFF[x.dtype] / (1 - additions * ROUNDOFF[x.dtype])
    flushed = np.where(sizes > 0, additions * SMALLEST[x.dtype], 0.0)
    error = x.error.sum(axis=axis, keepdims=True) + growth * sizes + flushed
    return Bounded(x.value.sum(axis=axis, keepdims=True), error, x.dtype)


def _matmul(x: Bounded, y: Bounded) -> Bounded:
    """A matrix product with sums in any order.

    For each element n products and n - 1 additions round (Higham, section 3.5).
    """
    n = x.shape[-1]
    error = np.abs(x.value) @ y.error + x.error @ np.abs(y.value) + x.error @ y.error
    sizes = (np.abs(x.value) + x.error) @ (np.abs(y.value) + y.error)
    growth = n * ROUNDOFF[x.dtype] / (1 - n * ROUNDOFF[x.dtype])
    flushed = np.where(sizes > 0, 2 * n * SMALLEST[x.dtype], 0.0)
    return Bounded(x.value @ y.value, error + growth * sizes + flushed, x.dtype)


def _orthogonalized(
    x: Bounded, polynomial: tuple[Bounded, Bounded, Bounded], steps: int
) -> Bounded:
    """``samestep.reference.matrices.orthogonalized``, with a bound on its error as a whole matrix.

    Bounds for each element of products of products grow more than the errors do. But each step
    moves only singular values, by a polynomial. Such a map multiplies the Euclidean norm of an
    error by the slope of the polynomial at most, and each step does so with the error before it.
    """
    value = x.value
    far = float(np.linalg.norm(x.error))
    products = SimpleNamespace(matmul=_matmul, transpose=_transpose)
    numbers = [float(coefficient.value) for coefficient in polynomial]
    for _ in range(steps):
        step = quintic(Bounded(value, np.zeros_like(value), x.dtype), polynomial, products)
        far = _slope(value, far, *numbers) * far + float(np.linalg.norm(step.error))
        value = step.value
    return Bounded(value, np.full(value.shape, far), x.dtype)


def _slope(x: np.ndarray, far: float, a: float, b: float, c: float) -> float:
    """The factor by which a s + b s^3 + c s^5 of the singular values can increase an error.

    Both errors are Euclidean norms; the error of ``x`` is at most ``far``. The factor is the
    largest slope of a chord between any two of the singular values, their negatives and zero: the
    eigenvalues of [[0, x], [x', 0]] (R. Bhatia: Matrix Analysis, Springer 1997, theorem V.3.3).
    """
    if not np.isfinite(x).all() or not np.isfinite(far):
        return np.inf
    s = np.linalg.svd(x, compute_uv=False)
    ends = np.concatenate([s, s + far, np.maximum(s - far, 0), [0.0]])
    u, v = np.meshgrid(ends, np.concatenate([ends, -ends]))
    cubes = u * u + u * v + v * v
    fifths = u**4 + u**3 * v + u**2 * v**2 + u * v**3 + v**4
    return float(np.abs(a + b * cubes + c * fifths).max())


def _transpose(x: Bounded) -> Bounded:
    return Bounded(x.value.T, x.error.T, x.dtype)


def namespace(scalars_in: str) -> SimpleNamespace:
    """The array namespace ``xp`` of bounded numbers; scalars are computed in ``scalars_in``."""
    return SimpleNamespace(
        abs=_abs,
        sign=_sign,
        sqrt=lambda x: _sqrt(_scalar(x, scalars_in)),
        square=lambda x: x * x,
        maximum=lambda x, y: _choose(x, y, np.maximum),
        minimum=lambda x, y: _choose(x, y, np.minimum),
        where=_where,
        total=_total,
        orthogonalized=_orthogonalized,
        reshape=lambda x, shape: Bounded(x.value.reshape(shape), x.error.reshape(shape), x.dtype),
        ones=lambda shape, dtype: Bounded(np.ones(shape), 0.0, dtype),
        zeros_like=lambda x: Bounded(np.zeros_like(x.value), 0.0, x.dtype),
        integer_power=lambda base, t: _integer_power(_key_of(base), t, scalars_in),
        power=lambda base, exponent: _power(base, exponent, scalars_in),
    )


def _scalar(x: Any, dtype: str) -> Bounded:
    """``x`` as a bounded number; a plain number is exact."""
    return x if isinstance(x, Bounded) else Bounded(x, 0.0, dtype)


def _power(base: Any, exponent: float, dtype: str) -> Bounded:
    return _scalar(base, dtype) ** Bounded(exponent, 0.0, dtype)


# a number, or the value, error and dtype of a bounded one
_Key = float | tuple[float, float, str]


def _key_of(base: float | Bounded) -> _Key:
    if isinstance(base, Bounded):
        return float(base.value), float(base.error), base.dtype
    return base


@functools.lru_cache(maxsize=4096)  # the trials need the same powers again and again
def _integer_power(base: _Key, exponent: int, dtype: str) -> Bounded:
    number = Bounded(*base) if isinstance(base, tuple) else Bounded(base, 0.0, dtype)
    return scalars.integer_power(number, exponent)


class AnalysedRule(NamedTuple):
    """A rule, the dtype of its arrays, and the dtype in which its coefficients are computed."""

    rule: Rule
    dtype: str
    scalars_in: str = "float64"


def follow(
    analysed: AnalysedRule,
    theta: np.ndarray,
    gradients: np.ndarray,
    rates: Sequence[float],
) -> Iterator[tuple[Bounded, dict[str, Bounded]]]:
    """One tensor and its state after each step, each number with its bound.

    ``theta`` (*shape), ``gradients`` (steps, *shape) and the learning rates (steps,) are taken as
    exact.
    """
    rule, dtype, scalars_in = analysed
    xp = namespace(scalars_in)
    moved = Bounded(theta, 0.0, dtype)
    state = rule.start(moved, xp)
    for step, (gradient, lr) in enumerate(zip(gradients, rates, strict=True)):
        c = plain_coefficients(analysed, step + 1, lr)
        moved, state = rule.update(moved, Bounded(gradient, 0.0, dtype), state, c, xp)
        yield moved, state


def bounded_coefficients(analysed: AnalysedRule, t: int, lr: float, xp: Any) -> Any:
    """The coefficients of step ``t``, each with its own error and rounded once to the dtype.

    ``xp`` are the scalar functions on bounded numbers.
    """
    rule, dtype, scalars_in = analysed
    doubles = rule.coefficients(t, Bounded(lr, 0.0, scalars_in), xp)
    return doubles._make(_rounded_once(value, dtype) for value in doubles)


@functools.lru_cache(maxsize=4096)  # tensors of one step need the same coefficients
def plain_coefficients(analysed: AnalysedRule, t: int, lr: float) -> Any:
    """The coefficients of step ``t``, computed with the functions of ``namespace``."""
    return bounded_coefficients(analysed, t, lr, namespace(analysed.scalars_in))


def _rounded_once(coefficient: Any, dtype: str) -> Bounded:
    """A coefficient, a double with its own error, after rounding to ``dtype``."""
    exact = coefficient if isinstance(coefficient, Bounded) else Bounded(coefficient)
    rounding = ROUNDOFF[dtype] * np.abs(exact.value)
    return Bounded(exact.value, exact.error + rounding, dtype)
