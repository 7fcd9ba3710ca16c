"""Follow many rules of one kind at once, in float64: the points of a grid, or of a derivative.

The numbers of all rules are arrays, so that NumPy is called once for all of them. The last bits may
differ from those of a single rule, since real powers come from NumPy. What is found here is a
proposal, and ``judge`` decides with the rule itself.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from samestep.reference import Rule, scalars
from samestep.reference.namespace import Scalars

SQUARE_ROOT = -0.5  # FTRL takes a root instead of a real power where ``lr_power`` is this


class Batch:
    """Arrays (rules, *shape) that look to a rule like one array of this shape.

    Rules whose elements influence each other ask for the shape of a tensor and sum over all of it.
    """

    __slots__ = ("values",)
    __array_ufunc__ = None  # tells NumPy to leave the arithmetic to this class

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that a rule sees."""
        return self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of all arrays."""
        return self.values.dtype

    def __getitem__(self, key: int) -> "Batch":
        return Batch(self.values[:, key])

    def __neg__(self) -> "Batch":
        return Batch(-self.values)

    def __add__(self, operand: Any) -> "Batch":
        return _apply(np.add, self, operand)

    def __sub__(self, operand: Any) -> "Batch":
        return _apply(np.subtract, self, operand)

    def __mul__(self, operand: Any) -> "Batch":
        return _apply(np.multiply, self, operand)

    def __truediv__(self, operand: Any) -> "Batch":
        return _apply(np.divide, self, operand)

    def __radd__(self, operand: Any) -> "Batch":
        return _apply(np.add, self, operand)

    def __rmul__(self, operand: Any) -> "Batch":
        return _apply(np.multiply, self, operand)

    def __rsub__(self, operand: Any) -> "Batch":
        return Batch(operand - self.values)

    def __rtruediv__(self, operand: Any) -> "Batch":
        return Batch(operand / self.values)

    def __gt__(self, operand: Any) -> "Batch":
        return _apply(np.greater, self, operand)

    def __and__(self, operand: Any) -> "Batch":
        return _apply(np.logical_and, self, operand)


def _apply(function: Callable[..., np.ndarray], x: Batch, y: Any) -> Batch:
    """The function of two operands, of which the second may be a number or an array for all."""
    if type(y) is not Batch:
        return Batch(function(x.values, y))
    missing = x.values.ndim - y.values.ndim
    if not missing:
        return Batch(function(x.values, y.values))
    if missing > 0:
        return Batch(function(x.values, _widened(y.values, missing)))
    return Batch(function(_widened(x.values, -missing), y.values))


def _widened(values: np.ndarray, dimensions: int) -> np.ndarray:
    """Arrays (rules, *shape) with so many dimensions of length 1 before the shape."""
    return values.reshape(len(values), *[1] * dimensions, *values.shape[1:])


def _values(x: Any) -> Any:
    return x.values if type(x) is Batch else x


WHOLE_TENSORS = SimpleNamespace(  # the ``xp`` of batches of tensors
    abs=lambda x: Batch(np.abs(x.values)),
    sign=lambda x: Batch(np.sign(x.values)),
    sqrt=lambda x: Batch(np.sqrt(x.values)),
    square=lambda x: Batch(x.values * x.values),
    maximum=lambda x, y: _apply(np.maximum, x, y),
    where=lambda condition, yes, no: Batch(np.where(condition.values, _values(yes), _values(no))),
    total=lambda x, axis: Batch(x.values.sum(axis=axis, keepdims=True)),
    reshape=lambda x, shape: Batch(x.values.reshape(len(x.values), *shape)),
    zeros_like=lambda x: Batch(np.zeros_like(x.values)),
    matmul=lambda x, y: Batch(x.values @ y.values),
    transpose=lambda x: Batch(np.swapaxes(x.values, -1, -2)),
)
ELEMENTS = SimpleNamespace(  # the ``xp`` of arrays (rules, elements), or of one tensor
    abs=np.abs,
    sign=np.sign,
    sqrt=np.sqrt,
    square=np.square,
    maximum=np.maximum,
    minimum=np.minimum,
    where=np.where,
    total=lambda x, axis: x.sum(axis=axis, keepdims=True),
    reshape=np.reshape,
    ones=np.ones,
    zeros_like=np.zeros_like,
    matmul=np.matmul,
    transpose=np.transpose,
)


def _integer_power(base: Any, exponent: int) -> Any:
    """As ``scalars.integer_power``, with no more squares than the exponent has bits."""
    if not isinstance(base, np.ndarray):
        return scalars.integer_power(base, exponent)
    width = 1 << (max(exponent, 1).bit_length() - 1).bit_length()
    factors = []
    for k in range(width):
        factors.append(base if exponent >> k & 1 else 1.0)
        base = base * base
    while len(factors) > 1:
        half = len(factors) // 2
        factors = [low * high for low, high in zip(factors[:half], factors[half:], strict=True)]
    return factors[0]


MANY_SCALARS: Scalars = SimpleNamespace(
    integer_power=_integer_power, power=np.power, sqrt=np.sqrt, where=np.where
)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor that rules move.

    ``start`` (*shape), ``gradients`` (steps, *shape), and the factors (steps,) of a rule's learning
    rate. ``elementwise`` is False for rules in which elements of a tensor influence each other.
    """

    start: np.ndarray
    gradients: np.ndarray
    rate_factors: np.ndarray
    elementwise: bool


def follow_all(rules: Sequence[Rule], tensor: Tensor) -> np.ndarray:
    """The values of the tensor after each step of each rule, (rules, steps, *shape).

    The rules are of one kind and differ in numbers alone. ArithmeticError if one of them cannot
    take a step.
    """
    groups = defaultdict(list)
    for index, rule in enumerate(rules):
        groups[_pattern(rule)].append(index)
    thetas = np.empty((len(rules), *tensor.gradients.shape))
    for indices in groups.values():
        thetas[indices] = _follow_group([rules[index] for index in indices], tensor)
    return thetas


def _pattern(rule: Rule) -> tuple[bool, ...]:
    """What may decide which formula a rule takes: which of its numbers are zero."""
    values = [getattr(rule, name) for name in rule.names()]
    return (getattr(rule, "lr_power", 0.0) == SQUARE_ROOT, *map(bool, values))


def _follow_group(rules: Sequence[Rule], tensor: Tensor) -> np.ndarray:
    """The same for rules that take the same formula."""
    rule = rules[0]
    if len(rules) == 1:
        return _follow(rule, tensor)[None]
    xp = ELEMENTS if tensor.elementwise else WHOLE_TENSORS
    theta = _wrapped(np.stack([tensor.start] * len(rules)), tensor.elementwise)
    state = _start(rules, tensor)
    coefficients = _Coefficients(rules, tensor)
    thetas = []
    for t, gradient in enumerate(tensor.gradients, start=1):
        g = gradient if tensor.elementwise else Batch(gradient[None])
        theta, state = rule.update(theta, g, state, coefficients.at(t), xp)
        thetas.append(_values(theta))
    return np.stack(thetas, axis=1)


def _follow(rule: Rule, tensor: Tensor) -> np.ndarray:
    """The values after each step of one rule, (steps, *shape)."""
    theta = tensor.start
    state = rule.start(theta, ELEMENTS)
    thetas = []
    for t, gradient in enumerate(tensor.gradients, start=1):
        c = rule.coefficients(t, rule.lr * tensor.rate_factors[t - 1])
        theta, state = rule.update(theta, gradient, state, c, ELEMENTS)
        thetas.append(theta)
    return np.array(thetas)


def _wrapped(values: np.ndarray, elementwise: bool) -> Any:
    return values if elementwise else Batch(values)


def _start(rules: Sequence[Rule], tensor: Tensor) -> dict[str, Any]:
    """The state of all rules before the first step."""
    states = [rule.start(tensor.start, ELEMENTS) for rule in rules]
    state = {}
    for name in states[0]:
        values = np.stack([values[name] for values in states])
        if tensor.elementwise and values.ndim == 1:  # one number for each rule
            values = values[:, None]
        state[name] = _wrapped(values, tensor.elementwise)
    return state


class _Coefficients:
    """The coefficients of all rules at a step: each a number, or an array that holds one a rule."""

    def __init__(self, rules: Sequence[Rule], tensor: Tensor) -> None:
        self.rules = rules
        self.tensor = tensor
        self.joined = _joined(rules)
        self.rates = np.array([[rule.lr] for rule in rules])

    def at(self, t: int) -> Any:
        """The coefficients of step ``t``."""
        factor = self.tensor.rate_factors[t - 1]
        try:
            c = self.joined.coefficients(t, self.rates * factor, MANY_SCALARS)
        except ValueError:  # the rule asks whether a number is zero, and here it is an array
            c = self._one_by_one(t, factor)
        return c if self.tensor.elementwise else c._make(map(_as_batch, c))

    def _one_by_one(self, t: int, factor: float) -> Any:
        all_of_step = [rule.coefficients(t, rule.lr * factor) for rule in self.rules]
        columns = np.array(all_of_step, np.float64).T[:, :, None]
        return all_of_step[0]._make(columns)


def _as_batch(coefficient: Any) -> Any:
    if isinstance(coefficient, np.ndarray) and coefficient.ndim:
        return Batch(coefficient[:, 0])
    return coefficient


def _joined(rules: Sequence[Rule]) -> Rule:
    """A rule whose numbers are arrays (rules, 1) where the rules differ; it checks nothing."""
    joined = object.__new__(type(rules[0]))
    for name in rules[0].names():
        values = [getattr(rule, name) for rule in rules]
        same = all(value == values[0] for value in values)
        object.__setattr__(joined, name, values[0] if same else np.array(values)[:, None])
    return joined
