"""Views: the frame in which a rule sees a tensor, whatever its layout in memory.

Keras stores a kernel as (inputs, outputs), PyTorch as (outputs, inputs). A rule in which elements
act on each other steps otherwise if it sees the one or the other. A view gives it the same frame in
both: the axes in another order, and where needed in another shape.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .adafactor import Adafactor
from .arguments import WrongArgument
from .lamb import LAMB
from .muon import Muon
from .rule import Rule

# The rules in which elements of a tensor act on each other: for these a view matters.
COUPLED: tuple[type[Rule], ...] = (LAMB, Adafactor, Muon)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class View:
    """A frame: the tensor in shape ``split``, its ``axes`` permuted, then in shape ``joined``.

    ``axes`` are counted as in ``numpy.transpose``. Without ``split`` the tensor's own shape is
    permuted; without ``joined`` the permuted shape stays. Elements keep their C order in both
    reshapes, so that nothing is computed.

    >>> View((1, 0)).shape_of((3, 2))  # a dense kernel of Keras in PyTorch's frame
    (2, 3)
    >>> View((2, 3, 0, 1), joined=(6, 1, 5, 5)).shape_of((5, 5, 3, 2))  # a depthwise one
    (6, 1, 5, 5)
    """

    axes: Shape
    split: Shape | None = None
    joined: Shape | None = None

    def __post_init__(self) -> None:
        """ValueError unless the axes are a permutation."""
        for name in ("axes", "split", "joined"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _sizes(name, value))
        if sorted(self.axes) != list(range(len(self.axes))):
            raise WrongArgument(
                f"the axes of a view must be a permutation of 0, 1, ..., got {self.axes}"
            )

    def shape_of(self, shape: Sequence[int]) -> Shape:
        """The shape in which the rule sees a tensor of ``shape``; ValueError if it does not fit."""
        start = self.split_of(shape)
        permuted = tuple(start[axis] for axis in self.axes)
        if self.joined is not None and math.prod(self.joined) != math.prod(permuted):
            raise WrongArgument(
                f"a view must fit its tensor: {self} needs {math.prod(self.joined)} elements, got "
                f"the shape {tuple(shape)}"
            )
        return permuted if self.joined is None else self.joined

    def split_of(self, shape: Sequence[int]) -> Shape:
        """The shape whose axes are permuted."""
        start = tuple(shape) if self.split is None else self.split
        if len(start) != len(self.axes) or math.prod(start) != math.prod(shape):
            raise WrongArgument(
                f"a view must fit its tensor: {self} permutes {len(self.axes)} axes"
                f"{'' if self.split is None else f' of the shape {self.split}'}, got the shape "
                f"{tuple(shape)}"
            )
        return start

    @property
    def inverse_axes(self) -> Shape:
        """The axes that undo the permutation."""
        return tuple(sorted(range(len(self.axes)), key=lambda place: self.axes[place]))

    def to_plain(self) -> dict[str, list[int]]:
        """The view as lists of numbers, for configs and checkpoints."""
        named = {"axes": self.axes, "split": self.split, "joined": self.joined}
        return {name: list(value) for name, value in named.items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Any) -> "View":
        """The inverse of ``to_plain``; also takes the axes alone. ValueError for anything else."""
        if isinstance(plain, View):
            return plain
        if not isinstance(plain, Mapping):
            return cls(plain)
        strange = set(plain).difference(("axes", "split", "joined"))
        if strange or "axes" not in plain:
            raise WrongArgument(
                f"a view must have 'axes', and may have 'split' and 'joined', got {dict(plain)}"
            )
        return cls(**plain)


def views_from(views: Any) -> dict[str, View]:
    """Views by the names of tensors, from axes or views; ValueError unless it is a mapping."""
    if not isinstance(views, Mapping):
        raise WrongArgument(
            "views must map names of tensors to views, as views(model) gives them or like "
            f"{{'dense/kernel': (1, 0)}}, got {views!r:.80}"
        )
    return {str(name): View.from_plain(view) for name, view in views.items()}


def _sizes(name: str, value: Any) -> Shape:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise WrongArgument(f"the {name} of a view must be whole numbers, got {value!r:.80}")
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in value):
        raise WrongArgument(f"the {name} of a view must be whole numbers, got {value!r:.80}")
    if any(size < 0 for size in value):
        raise WrongArgument(f"the {name} of a view must not be negative, got {value!r:.80}")
    return tuple(value)
