"""What a rule is: hyperparameters as frozen fields, and one pure ``update`` that is the equation.

A rule is written for one tensor and for any array library, which comes in as ``xp`` (see
``samestep.reference.namespace``). Sums over a tensor are taken in a fixed order
(``samestep.reference.sums``), so that they have the same bits everywhere. Matrix products have the
array library's own order (``samestep.reference.matrices``).

The scalar work of a step (bias correction, products with the learning rate) is done in
``coefficients``, in double precision. Each coefficient is rounded once to the arrays' dtype when it
meets an array. Compilers rewrite some expressions, and that would change bits. Therefore ``update``

- never combines two coefficients,
- never divides an array by a coefficient or a number,
- never multiplies a product of arrays by a coefficient (a square is ``xp.square``).

For the same reason ``coefficients`` divides nothing that depends on t or lr by a hyperparameter,
but multiplies it by the inverse.

Names that the coefficients of several rules share: ``keep`` and ``take`` are the weights of the old
value and of the new term in a running mean (``keep1`` and ``take1`` of m, ``keep2`` and ``take2``
of v). ``stretch`` is the bias correction of sqrt(v). ``step`` is the learning rate times all other
scalar factors of the step. ``shrink`` is the factor of theta in weight decay. Compiled steps pack
coefficients in the order of their fields.
"""

import dataclasses
import enum
import numbers
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self

from . import scalars
from .arguments import ByName
from .namespace import Array, Namespace, Scalar, Scalars, State


class Epsilon(enum.Enum):
    """Where epsilon stands in the denominator."""

    OUTSIDE = "added to the denominator, sqrt(v) + epsilon, after any bias correction of v"
    INSIDE = (
        "within the denominator: sqrt(v + epsilon), in Adamax max(beta2 u, |g| + epsilon), "
        "in Adafactor g^2 + epsilon"
    )
    HAT = "sqrt(v) + epsilon, before the bias correction of v"
    FLOOR = "the least that the denominator may be: max(sqrt(v), epsilon)"

    def __repr__(self) -> str:
        return str(self)


class Buffer(enum.Enum):
    """What a momentum buffer accumulates; the two differ only while the learning rate changes."""

    GRADIENTS = "directions, multiplied by the learning rate when the parameter moves"
    STEPS = "steps, already multiplied by the learning rate of their time"

    def __repr__(self) -> str:
        return str(self)


class Decay(enum.Enum):
    """What weight decay means."""

    COUPLED = "an L2 penalty: weight_decay * theta joins the gradient"
    DECOUPLED = "theta shrinks by lr * weight_decay before the step"
    AFTER = "theta shrinks by lr * weight_decay after the step"
    JOINED = "weight_decay * theta joins the direction of the step, before its length is set"

    def __repr__(self) -> str:
        return str(self)


class SizeMeasuredAt(enum.Enum):
    """When in a step the size of theta is measured, of which the step is a share."""

    BEFORE_DECAY = "before decoupled weight decay has shrunk theta"
    AFTER_DECAY = "after decoupled weight decay has shrunk theta"

    def __repr__(self) -> str:
        return str(self)


class ShapeScale(enum.Enum):
    """By what the shape of a matrix multiplies a step along an orthogonal matrix."""

    ASPECT_RATIO = "sqrt(max(1, rows / columns)): K. Jordan's, for kernels of (outputs, inputs)"
    LONGER_SIDE = (
        "sqrt(max(rows, columns)): the root mean square of the step's elements is then about 1"
    )
    ONE = "1, whatever the shape"

    def __repr__(self) -> str:
        return str(self)


def number(default: float, interval: str, matters_with: tuple[str, ...] = ()) -> Any:
    """A real hyperparameter that must lie in ``interval``, written like ``"[0, 1)"``.

    It changes nothing while one of the fields named in ``matters_with`` is zero.
    """
    metadata = {"interval": interval, "matters_with": matters_with}
    return dataclasses.field(default=default, metadata=metadata)


def whole(default: int, interval: str) -> Any:
    """A hyperparameter that counts something; ``interval`` as in ``number``."""
    # equivalent mutant "True -> False": only the presence of the key matters
    return dataclasses.field(default=default, metadata={"interval": interval, "whole": True})


def one_of(default: enum.Enum, *others: enum.Enum, matters_with: tuple[str, ...] = ()) -> Any:
    """A hyperparameter with a few possible values; ``matters_with`` as in ``number``."""
    metadata = {"choices": (default, *others), "matters_with": matters_with}
    return dataclasses.field(default=default, metadata=metadata)


def decay_one_of(*kinds: Decay, matters_with: tuple[str, ...] = ("weight_decay",)) -> Any:
    """The kinds of weight decay of a rule, the default first; AFTER is one of every rule."""
    return one_of(*kinds, Decay.AFTER, matters_with=matters_with)


def flag(default: bool = False, matters_with: tuple[str, ...] = ()) -> Any:
    """A hyperparameter that is on or off; ``matters_with`` as in ``number``."""
    metadata = {"choices": (False, True), "matters_with": matters_with}
    return dataclasses.field(default=default, metadata=metadata)


class Shrinking(Protocol):
    """The coefficient that every rule has."""

    @property
    def shrink(self) -> Scalar:
        """What ``Rule.decay_factor`` gives."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Rule(ByName):
    """The base of every rule, with what all rules share: checks, weight decay, the gradient's sign.

    ``lr`` is the learning rate. ``weight_decay`` has units as ``decay`` says. ``maximize`` climbs
    instead of descending. ValueError says what must hold of a hyperparameter and what came.
    """

    lr: float = number(1e-2, "[0, inf)")
    weight_decay: float = number(0.0, "[0, inf)")
    decay: Decay = decay_one_of(Decay.COUPLED, Decay.DECOUPLED)
    maximize: bool = flag()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))

    def start(self, theta: Array, xp: Namespace) -> State:
        """The state before the first step: arrays of theta's dtype, each filled with one number.

        Their shapes are derived from theta's.
        """
        raise NotImplementedError

    def coefficients(self, t: Scalar, lr: Scalar, xp: Scalars = scalars) -> Any:
        """What step ``t`` = 1, 2, ... needs beside arrays: doubles in the rule's NamedTuple.

        ``lr`` is the learning rate that the framework holds now. ``xp`` computes on plain numbers
        unless it is a framework's own set of scalar functions; then ``t`` and ``lr`` are its
        tensors.
        """
        raise NotImplementedError

    def update(
        self, theta: Array, gradient: Array, state: State, c: Any, xp: Namespace
    ) -> tuple[Array, State]:
        """One step: the new theta and the new state. It changes none of its arguments.

        ``theta`` and ``gradient`` have one shape and one real dtype; ``c`` is the result of
        ``coefficients``.
        """
        raise NotImplementedError

    def average(self, theta: Array, state: State) -> Array:
        """The average of the parameters that the rule keeps for evaluation; theta if it keeps none.

        ``theta`` and ``state`` are those after at least one step. It changes nothing.
        """
        return theta

    def apply_decay(self, theta: Array, gradient: Array, c: Shrinking) -> tuple[Array, Array]:
        """Theta and the gradient to descend, after ``maximize`` and early weight decay."""
        if self.maximize:
            gradient = -gradient
        if self.weight_decay and self.decay is Decay.COUPLED:
            return theta, gradient + c.shrink * theta
        if self.weight_decay and self.decay is Decay.DECOUPLED:
            return theta - c.shrink * theta, gradient
        return theta, gradient

    def apply_late_decay(self, theta: Array, c: Shrinking) -> Array:
        """Theta, which the step has moved, after weight decay that comes after the step."""
        if self.weight_decay and self.decay is Decay.AFTER:
            return theta - c.shrink * theta
        return theta

    def decay_factor(self, lr: Scalar) -> Scalar:
        """The factor of theta in both kinds of decay above, or in the direction of the step."""
        shrinks_theta = self.decay in (Decay.DECOUPLED, Decay.AFTER)
        return lr * self.weight_decay if shrinks_theta else self.weight_decay

    def to_dict(self) -> dict[str, Any]:
        """All hyperparameters as numbers, bools or strings; the class takes them as arguments."""
        values = {name: getattr(self, name) for name in self.names()}
        return {
            name: value.name if isinstance(value, enum.Enum) else value
            for name, value in values.items()
        }

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the hyperparameters."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def replace(self, **changes: Any) -> Self:
        """The same rule with some hyperparameters changed, checked again."""
        return dataclasses.replace(self, **changes)

    def is_active(self, name: str) -> bool:
        """True if the hyperparameter changes anything, given the values of the others.

        This is about exact arithmetic: weight decay of zero, for one, makes ``decay`` inactive.
        """
        (field,) = (f for f in dataclasses.fields(self) if f.name == name)
        return all(getattr(self, other) for other in field.metadata.get("matters_with", ()))

    def __repr__(self) -> str:
        """The label in tests, records and reports: lr, and what is active and not a default."""
        values = [f"lr={self.lr!r}"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "lr" and self.is_active(field.name) and value != field.default:
                values.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(values)})"


def follow(
    rule: Rule, theta: Array, gradients: Iterable[Array], xp: Namespace
) -> Iterator[tuple[Array, State]]:
    """The simplest training loop: theta and state after each gradient, at the rule's own ``lr``."""
    state = rule.start(theta, xp)
    for t, gradient in enumerate(gradients, start=1):
        theta, state = rule.update(theta, gradient, state, rule.coefficients(t, rule.lr), xp)
        yield theta, state


def checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value as a rule or a part stores it; ValueError says what must hold and what came."""
    if "choices" in field.metadata:
        return _choice(field.name, field.metadata["choices"], value)
    interval = field.metadata["interval"]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # one number as an array, such as torch's lr
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{field.name} must be a real number in {interval}, got {value!r}")
    number = float(value)
    if not _lies_in(number, interval):
        raise ValueError(f"{field.name} must lie in {interval}, got {value!r}")
    if "whole" not in field.metadata:
        return number
    if not number.is_integer():
        raise ValueError(f"{field.name} must be a whole number in {interval}, got {value!r}")
    return int(number)


def _choice(name: str, choices: tuple[Any, ...], value: Any) -> Any:
    """The choice that the value is, or that it is the name of."""
    for choice in choices:
        by_name = isinstance(value, str) and value == getattr(choice, "name", None)
        if value is choice or by_name:
            return choice
    raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, got {value!r}")


def _lies_in(number: float, interval: str) -> bool:
    """True if the number lies in an interval such as ``"[0, 1)"``."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = low <= number if interval[0] == "[" else low < number
    below = number <= high if interval[-1] == "]" else number < high
    return above and below
