"""What a rule is: hyperparameters as frozen fields, one pure ``update`` as the equation.

A rule is written for one tensor and for any array library. The library comes in as ``xp``, a namespace with ``abs``,
``concat``, ``matmul``, ``maximum``, ``minimum``, ``ones``, ``reshape``, ``sign``, ``sqrt``, ``square``, ``transpose``
(of a matrix), ``where`` and ``zeros_like``; everything else is ``+ - * / **``, comparison and slicing of the arrays
themselves. Sums over a tensor are taken in a fixed order (``samestep.reference.sums``), so that they have the same bits
everywhere; those in a matrix product are not (``samestep.reference.matrices``).

The scalar work of a step (bias correction, products with the learning rate) is done apart from the arrays, in
``coefficients``, in double precision. Each coefficient is rounded once to the arrays' dtype when it meets an array.
Inside ``update`` no two coefficients are combined, no array is divided by a coefficient or a number, and no coefficient
multiplies a product of arrays (a square is ``xp.square``): compilers rewrite all three, and that would change bits. For
the same reason ``coefficients`` divides what depends on t or lr by no hyperparameter, but multiplies by its inverse.
"""

import dataclasses
import enum
import functools
import numbers
from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import Any

from . import scalars

Array = Any  # an array of the library behind xp: shape and one real dtype are its own
State = dict[str, Array]


class Epsilon(enum.Enum):
    """Where epsilon stands in the denominator."""

    OUTSIDE = "added to the denominator, sqrt(v) + epsilon, after any bias correction of v"
    INSIDE = (
        "within the denominator: sqrt(v + epsilon), in Adamax max(beta2 u, |g| + epsilon), in Adafactor g^2 + epsilon"
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
    JOINED = "weight_decay * theta joins the direction of the step, before its length is set"

    def __repr__(self) -> str:
        return str(self)


class Measure(enum.Enum):
    """When the size of theta is taken that a step is a share of."""

    BEFORE_DECAY = "before decoupled weight decay has shrunk it"
    AFTER_DECAY = "after decoupled weight decay has shrunk it"

    def __repr__(self) -> str:
        return str(self)


class Reach(enum.Enum):
    """What a step along an orthogonal matrix is multiplied by, for the shape of the matrix."""

    TALL = "sqrt(max(1, rows / columns)): as K. Jordan has it, for kernels of (outputs, inputs)"
    LONG = "sqrt(max(rows, columns)): the root mean square of the step's elements is then about 1 for every shape"
    ONE = "1, whatever the shape"

    def __repr__(self) -> str:
        return str(self)


def number(default: float, interval: str, matters_with: tuple[str, ...] = ()) -> Any:
    """A real hyperparameter that must lie in ``interval``, written like ``"[0, 1)"``.

    It changes nothing while one of the fields named in ``matters_with`` is zero.
    """
    return dataclasses.field(default=default, metadata={"interval": interval, "matters_with": matters_with})


def whole(default: int, interval: str) -> Any:
    """A hyperparameter that counts something; ``interval`` as in ``number``."""
    # equivalent mutant "True -> False": only whether the key is there is asked
    return dataclasses.field(default=default, metadata={"interval": interval, "whole": True})


def one_of(default: enum.Enum, *others: enum.Enum, matters_with: tuple[str, ...] = ()) -> Any:
    """A hyperparameter that takes the default or one of the others; ``matters_with`` as in ``number``."""
    return dataclasses.field(default=default, metadata={"choices": (default, *others), "matters_with": matters_with})


def flag(default: bool = False, matters_with: tuple[str, ...] = ()) -> Any:
    """A hyperparameter that is on or off; ``matters_with`` as in ``number``."""
    return dataclasses.field(default=default, metadata={"choices": (False, True), "matters_with": matters_with})


def named(**coefficients: Any) -> Any:
    """The coefficients of one step as a named tuple, in the order given."""
    return _coefficients_type(tuple(coefficients))(**coefficients)


@functools.cache
def _coefficients_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Coefficients", names)


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Rule:
    """The base of every rule: what they share is checking, decay and the sign of the gradient."""

    lr: float = number(1e-2, "[0, inf)")
    weight_decay: float = number(0.0, "[0, inf)")
    decay: Decay = one_of(Decay.COUPLED, Decay.DECOUPLED, matters_with=("weight_decay",))
    maximize: bool = flag()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))

    def start(self, theta: Array, xp: Any) -> State:
        """The state before the first step: arrays of theta's dtype with shapes derived from theta's, each one number
        throughout."""
        raise NotImplementedError

    def coefficients(self, t: Any, lr: Any, xp: Any = scalars) -> Any:
        """What step ``t`` = 1, 2, ... needs besides arrays, as doubles in a named tuple.

        ``lr`` is the learning rate the framework holds now. ``xp`` computes on plain numbers unless it is a
        framework's own set of scalar functions (see ``samestep.reference.scalars``), and then ``t`` and ``lr`` are its tensors.
        """
        raise NotImplementedError

    def update(self, theta: Array, gradient: Array, state: State, c: Any, xp: Any) -> tuple[Array, State]:
        """One step: the new theta and the new state. Mutates nothing; ``c`` is what ``coefficients`` returned."""
        raise NotImplementedError

    def apply_decay(self, theta: Array, gradient: Array, c: Any) -> tuple[Array, Array]:
        """Theta and the gradient to descend, after ``maximize`` and weight decay."""
        if self.maximize:
            gradient = -gradient
        if not self.weight_decay or self.decay is Decay.JOINED:
            return theta, gradient
        if self.decay is Decay.COUPLED:
            return theta, gradient + c.shrink * theta
        return theta - c.shrink * theta, gradient

    def decay_factor(self, lr: Any) -> Any:
        """The factor that multiplies theta in ``apply_decay``, or in the direction of the step."""
        return lr * self.weight_decay if self.decay is Decay.DECOUPLED else self.weight_decay

    def to_dict(self) -> dict[str, Any]:
        """Every hyperparameter as a number, bool or string: ``type(rule)(**rule.to_dict()) == rule``."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value.name if isinstance(value, enum.Enum) else value for name, value in values.items()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the hyperparameters."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def replace(self, **changes: Any) -> "Rule":
        """The same rule with some hyperparameters changed, checked again."""
        return dataclasses.replace(self, **changes)

    def is_active(self, name: str) -> bool:
        """Whether the hyperparameter changes anything at the present values of the others (exact arithmetic)."""
        (field,) = (f for f in dataclasses.fields(self) if f.name == name)
        return all(getattr(self, other) for other in field.metadata.get("matters_with", ()))

    def __repr__(self) -> str:
        """The label in tests, records and reports: the learning rate, and what matters and is not a default."""
        fields = sorted(dataclasses.fields(self), key=lambda f: f.name != "lr")
        told = [
            f.name for f in fields if self.is_active(f.name) and (getattr(self, f.name) != f.default or f.name == "lr")
        ]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in told)})"


def follow(rule: Rule, theta: Array, gradients: Iterable[Array], xp: Any) -> Iterator[tuple[Array, State]]:
    """The barest training loop: theta and state after each gradient, with the rule's own learning rate."""
    state = rule.start(theta, xp)
    for t, gradient in enumerate(gradients, start=1):
        theta, state = rule.update(theta, gradient, state, rule.coefficients(t, rule.lr), xp)
        yield theta, state


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value as the rule stores it; ValueError says what must hold and what came."""
    if "choices" in field.metadata:
        for choice in field.metadata["choices"]:
            if value is choice or (isinstance(value, str) and value == getattr(choice, "name", None)):
                return choice
        choices = " or ".join(map(repr, field.metadata["choices"]))
        raise ValueError(f"{field.name} must be {choices}, got {value!r}")
    interval = field.metadata["interval"]
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # one number as an array, such as torch's lr
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{field.name} must be a real number in {interval}, got {value!r}")
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    number = float(value)
    above = low <= number if interval[0] == "[" else low < number
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise ValueError(f"{field.name} must lie in {interval}, got {value!r}")
    if "whole" not in field.metadata:
        return number
    if not number.is_integer():
        raise ValueError(f"{field.name} must be a whole number in {interval}, got {value!r}")
    return int(number)
