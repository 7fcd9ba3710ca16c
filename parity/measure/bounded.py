"""Numbers that carry a bound of their own rounding error, and rules run on them.

The rules run on any arithmetic, so they also run on ``Bounded`` numbers (running error analysis: N. J. Higham,
Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM 2002, section 3.3). Beside each parameter comes a
bound on how far rounding can have moved it, for this rule, these gradients and this dtype, whatever order of
operations a compiler chose.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule, scalars
from samestep.reference.matrices import quintic

ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
SMALLEST = {"bfloat16": 2.0**-126, "float16": 2.0**-14, "float32": 2.0**-126, "float64": 2.0**-1022}  # normal numbers


class Bounded:
    """A number, or array, and a bound on how far its computed value lies from the true one."""

    __array_ufunc__ = None  # NumPy leaves the arithmetic to us

    def __init__(self, value: Any, error: Any = 0.0, dtype: str = "float64") -> None:
        self.value, self.error, self.dtype = np.asarray(value, np.float64), np.asarray(error, np.float64), dtype

    def _rounded(self, value: np.ndarray, error: np.ndarray) -> "Bounded":
        """The result of one operation: it rounds, and it may flush to zero."""
        rounding = ROUNDOFF[self.dtype] * (np.abs(value) + error)
        flushed = np.where((value != 0) | (error != 0), SMALLEST[self.dtype], 0.0)
        return Bounded(value, error + rounding + flushed, self.dtype)

    def _other(self, x: Any) -> "Bounded":
        return x if isinstance(x, Bounded) else Bounded(x, 0.0, self.dtype)

    def __neg__(self) -> "Bounded":
        return Bounded(-self.value, self.error, self.dtype)

    def __add__(self, other: Any) -> "Bounded":
        other = self._other(other)
        return self._rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other: Any) -> "Bounded":
        return self + -self._other(other)

    def __mul__(self, other: Any) -> "Bounded":
        other = self._other(other)
        error = np.abs(self.value) * other.error + np.abs(other.value) * self.error + self.error * other.error
        return self._rounded(self.value * other.value, error)

    def __truediv__(self, other: Any) -> "Bounded":
        other = self._other(other)
        with np.errstate(all="ignore"):
            value = self.value / other.value
            room = np.abs(other.value) - other.error  # how close to zero the divisor can be
            error = np.where(room > 0, (self.error + np.abs(value) * other.error) / room, np.inf)
        return self._rounded(value, error)

    def __radd__(self, other: Any) -> "Bounded":
        return self + other

    def __rsub__(self, other: Any) -> "Bounded":
        return self._other(other) - self

    def __rmul__(self, other: Any) -> "Bounded":
        return self * other

    def __rtruediv__(self, other: Any) -> "Bounded":
        return self._other(other) / self

    def __pow__(self, exponent: "Bounded") -> "Bounded":
        """A real power; libraries are good for a few units in the last place, and so counted as two operations."""
        value, p = self.value**exponent.value, exponent.value
        with np.errstate(all="ignore"):
            ends = [np.maximum(self.value + sign * self.error, 0) ** p for sign in (-1, 1)]
            slope = np.abs(np.log(self.value)) * np.abs(value) * exponent.error
        error = np.maximum(*(np.abs(end - value) for end in ends)) + np.where(value == 0, 0.0, slope)
        return self._rounded(value, self._rounded(value, error).error)

    def __gt__(self, other: Any) -> np.ndarray:
        return self.value > self._other(other).value

    def __lt__(self, other: Any) -> np.ndarray:
        return self.value < self._other(other).value

    def __getitem__(self, key: Any) -> "Bounded":
        return Bounded(self.value[key], self.error[key], self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the value."""
        return self.value.shape


def _sqrt(x: Bounded) -> Bounded:
    with np.errstate(invalid="ignore"):
        root = np.sqrt(x.value)
        error = np.maximum(np.sqrt(x.value + x.error) - root, root - np.sqrt(np.maximum(x.value - x.error, 0)))
    return x._rounded(root, error)


def _abs(x: Bounded) -> Bounded:
    return Bounded(np.abs(x.value), x.error, x.dtype)


def _sign(x: Bounded) -> Bounded:
    """Where rounding may turn the sign around, it is wrong by 2."""
    return Bounded(np.sign(x.value), np.where(x.error >= np.abs(x.value), 2.0 * (x.error > 0), 0.0), x.dtype)


def _chosen(x: Bounded, y: Bounded, choose: Callable[..., np.ndarray]) -> Bounded:
    """The larger or smaller of two, with its error; where rounding may change the choice, with the larger of both."""
    value = choose(x.value, y.value)
    unsure = np.abs(x.value - y.value) <= x.error + y.error
    error = np.where(unsure, np.maximum(x.error, y.error), np.where(value == x.value, x.error, y.error))
    return Bounded(value, error, x.dtype)


def _where(condition: Any, yes: Any, no: Any) -> Any:
    """For scalars a plain choice. Between arrays the condition is taken as certain: rules ask for exact signs alone."""
    if not isinstance(condition, np.ndarray) or not condition.ndim:
        return yes if condition else no
    return Bounded(np.where(condition, yes.value, no.value), np.where(condition, yes.error, no.error), yes.dtype)


def _total(x: Bounded, axis: int) -> Bounded:
    """A sum in any order: each of the n - 1 additions rounds, and no partial sum exceeds the sum of magnitudes (Higham,
    section 4.2)."""
    additions = max(x.shape[axis] - 1, 0)
    sizes = (np.abs(x.value) + x.error).sum(axis=axis, keepdims=True)
    growth = additions * ROUNDOFF[x.dtype] / (1 - additions * ROUNDOFF[x.dtype])
    flushed = np.where(sizes > 0, additions * SMALLEST[x.dtype], 0.0)
    error = x.error.sum(axis=axis, keepdims=True) + growth * sizes + flushed
    return Bounded(x.value.sum(axis=axis, keepdims=True), error, x.dtype)


def _matmul(x: Bounded, y: Bounded) -> Bounded:
    """A matrix product, its sums in any order: n products and n - 1 additions round (Higham, section 3.5)."""
    n = x.shape[-1]
    error = np.abs(x.value) @ y.error + x.error @ np.abs(y.value) + x.error @ y.error
    sizes = (np.abs(x.value) + x.error) @ (np.abs(y.value) + y.error)
    growth = n * ROUNDOFF[x.dtype] / (1 - n * ROUNDOFF[x.dtype])
    flushed = np.where(sizes > 0, 2 * n * SMALLEST[x.dtype], 0.0)
    return Bounded(x.value @ y.value, error + growth * sizes + flushed, x.dtype)


def _orthogonalized(x: Bounded, a: Bounded, b: Bounded, c: Bounded, steps: int) -> Bounded:
    """``samestep.reference.matrices.orthogonalized``; its error is bounded as a whole, by its Euclidean norm.

    Element by element the bounds of products of products grow without need. As a map of matrices a polynomial of
    singular values spreads errors by the slope of that polynomial at most, and so each step does what came before it.
    """
    value, far = x.value, float(np.linalg.norm(x.error))
    products, numbers = SimpleNamespace(matmul=_matmul, transpose=_transpose), [float(n.value) for n in (a, b, c)]
    for _ in range(steps):
        step = quintic(Bounded(value, np.zeros_like(value), x.dtype), a, b, c, products)
        far = _slope(value, far, *numbers) * far + float(np.linalg.norm(step.error))
        value = step.value
    return Bounded(value, np.full(value.shape, far), x.dtype)


def _slope(x: np.ndarray, far: float, a: float, b: float, c: float) -> float:
    """How much a s + b s^3 + c s^5 of the singular values can spread, in the Euclidean norm, what lies within ``far``.

    It is the largest slope of a chord between any two of them, their negatives and zero: the eigenvalues of
    [[0, x], [x', 0]] (R. Bhatia: Matrix Analysis, Springer 1997, theorem V.3.3).
    """
    if not np.isfinite(x).all() or not np.isfinite(far):
        return np.inf
    s = np.linalg.svd(x, compute_uv=False)
    ends = np.concatenate([s, s + far, np.maximum(s - far, 0), [0.0]])
    u, v = np.meshgrid(ends, np.concatenate([ends, -ends]))
    cubes, fifths = u * u + u * v + v * v, u**4 + u**3 * v + u**2 * v**2 + u * v**3 + v**4
    return float(np.abs(a + b * cubes + c * fifths).max())


def _transpose(x: Bounded) -> Bounded:
    return Bounded(x.value.T, x.error.T, x.dtype)


def namespace(scalars_in: str) -> SimpleNamespace:
    """The ``xp`` of bounded numbers."""
    return SimpleNamespace(
        abs=_abs,
        sign=_sign,
        sqrt=lambda x: _sqrt(_scalar(x, scalars_in)),
        square=lambda x: x * x,
        maximum=lambda x, y: _chosen(x, y, np.maximum),
        minimum=lambda x, y: _chosen(x, y, np.minimum),
        where=_where,
        total=_total,
        orthogonalized=_orthogonalized,
        reshape=lambda x, shape: Bounded(x.value.reshape(shape), x.error.reshape(shape), x.dtype),
        ones=lambda shape, dtype: Bounded(np.ones(shape), 0.0, dtype),
        zeros_like=lambda x: Bounded(np.zeros_like(x.value), 0.0, x.dtype),
        integer_power=lambda base, t: _integer_power(base, t, scalars_in),
        power=lambda base, exponent: _scalar(base, scalars_in) ** Bounded(exponent, 0.0, scalars_in),
    )


def _scalar(x: Any, dtype: str) -> Bounded:
    return x if isinstance(x, Bounded) else Bounded(x, 0.0, dtype)


@functools.lru_cache(maxsize=4096)  # trials ask for the same powers again and again
def _integer_power(base: float | Bounded, exponent: int, dtype: str) -> Bounded:
    return scalars.integer_power(_scalar(base, dtype), exponent)  # type: ignore[arg-type, return-value]


class StepState(NamedTuple):
    """A tensor ``theta``, the rule's state for it, and ``t``, the number of steps counted so far."""

    theta: Any
    state: dict[str, Any]
    t: int


BeforeStep = Callable[[list[StepState], dict[str, Any]], StepState]
"""A planted fault: called before each step with all earlier states, the present one last, and the state at the start.
It returns what the step begins with."""


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
    before: BeforeStep | None = None,
) -> Iterator[tuple[Bounded, dict[str, Bounded]]]:
    """One tensor and its state after each step, each number with its bound.

    ``theta`` (*shape), ``gradients`` (steps, *shape) and the learning rates (steps) are taken as exact. ``before`` may
    replace what a step begins with.
    """
    rule, dtype, scalars_in = analysed
    xp = namespace(scalars_in)
    start_theta = Bounded(theta, 0.0, dtype)
    start_state = rule.start(start_theta, xp)
    now = StepState(start_theta, start_state, 0)
    past: list[StepState] = []
    for gradient, lr in zip(gradients, rates, strict=True):
        past.append(now)
        begin = before(past, start_state) if before else now
        c = _coefficients(analysed, begin.t + 1, lr)
        moved = rule.update(begin.theta, Bounded(gradient, 0.0, dtype), begin.state, c, xp)
        now = StepState(*moved, begin.t + 1)
        yield now.theta, now.state


@functools.lru_cache(maxsize=4096)  # tensors that step together need the same coefficients
def _coefficients(analysed: AnalysedRule, t: int, lr: float) -> Any:
    """The coefficients of step ``t`` as they meet the arrays: with their own error, rounded once to the dtype."""
    rule, dtype, scalars_in = analysed
    doubles = rule.coefficients(t, Bounded(lr, 0.0, scalars_in), namespace(scalars_in))
    return doubles._make(_rounded_once(value, dtype) for value in doubles)


def _rounded_once(coefficient: Any, dtype: str) -> Bounded:
    """A coefficient, a double with its own error, after it is rounded to ``dtype``."""
    exact = coefficient if isinstance(coefficient, Bounded) else Bounded(coefficient)
    rounding = ROUNDOFF[dtype] * np.abs(exact.value)
    return Bounded(exact.value, exact.error + rounding, dtype)
