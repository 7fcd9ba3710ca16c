"""Exact pieces: how one variable is made of parameters of another model, without any rounding.

A ``Link`` says how a variable of the Keras model is made of parameters of the PyTorch model. The
same link carries weights, gradients, optimizer state and buffers. ``back`` goes the other way.

>>> import numpy as np
>>> link = Link("dense/kernel", ("fc.weight",), (Permute((1, 0)),))
>>> link.carry({"fc.weight": np.array([[1, 2, 3]])}).tolist()
[[1], [2], [3]]
>>> str(link)
'dense/kernel = fc.weight, permute 1 0'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Permute:
    """Axes in another order, as ``numpy.transpose`` counts them."""

    axes: tuple[int, ...]

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Each array with its axes permuted."""
        return [array.transpose(self.axes) for array in arrays]

    def __str__(self) -> str:
        return _line("permute", self.axes)


@dataclass(frozen=True)
class Reshape:
    """Another shape, elements in C order."""

    shape: tuple[int, ...]

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Each array in the shape."""
        return [array.reshape(self.shape) for array in arrays]

    def __str__(self) -> str:
        return _line("reshape", self.shape)


@dataclass(frozen=True)
class Take:
    """Elements of an axis, chosen and put in order by their indices."""

    axis: int
    indices: tuple[int, ...]

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Each array with these elements alone."""
        return [np.take(array, self.indices, axis=self.axis) for array in arrays]

    def __str__(self) -> str:
        return _line("take", (self.axis, *self.indices))


@dataclass(frozen=True)
class Concatenate:
    """All arrays joined along an axis that they have."""

    axis: int

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """One array."""
        return [np.concatenate(arrays, axis=self.axis)]

    def __str__(self) -> str:
        return _line("cat", (self.axis,))


@dataclass(frozen=True)
class Stack:
    """All arrays joined along a new first axis."""

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """One array."""
        return [np.stack(arrays)]

    def __str__(self) -> str:
        return "stack"


@dataclass(frozen=True)
class Sum:
    """The sum of all arrays: the one piece that cannot be undone."""

    def apply(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """One array."""
        total = arrays[0]
        for array in arrays[1:]:
            total = total + array
        return [total]

    def __str__(self) -> str:
        return "sum"


Piece = Permute | Reshape | Take | Concatenate | Stack | Sum
FORMS = {
    "permute": "permute AXIS AXIS ...",
    "reshape": "reshape SIZE SIZE ...",
    "take": "take AXIS INDEX INDEX ...",
    "cat": "cat AXIS",
    "stack": "stack",
    "sum": "sum",
}


def _line(word: str, numbers: Sequence[int]) -> str:
    return " ".join([word, *map(str, numbers)])


def read(text: str) -> Piece:
    """The piece that ``str(piece)`` wrote; ValueError says which forms there are."""
    word, *rest = text.split() or [""]
    try:
        numbers = tuple(int(number) for number in rest)
        if word == "permute" and sorted(numbers) == list(range(len(numbers))):
            return Permute(numbers)
        if word == "reshape" and numbers:
            return Reshape(numbers)
        if word == "take" and len(numbers) > 1:
            return Take(numbers[0], numbers[1:])
        if word == "cat" and len(numbers) == 1:
            return Concatenate(numbers[0])
        if word in ("stack", "sum") and not numbers:
            return Stack() if word == "stack" else Sum()
    except ValueError:
        pass
    raise ValueError(f"a piece must be one of {'; '.join(FORMS.values())}, got {text!r}")


@dataclass(frozen=True)
class Link:
    """How ``variable`` of the Keras model is made of ``parameters`` of the PyTorch model.

    The pieces are applied in order to the list of parameters and must leave one array. ``evidence``
    says how the link was found.
    """

    variable: str
    parameters: tuple[str, ...]
    pieces: tuple[Piece, ...] = ()
    evidence: str = ""

    def carry(self, arrays: Arrays) -> np.ndarray:
        """The variable's array, made of the parameters' arrays.

        ValueError if a piece does not fit its arrays.
        """
        parts = [np.asarray(arrays[name]) for name in self.parameters]
        try:
            for piece in self.pieces:
                parts = piece.apply(parts)
        except ValueError as error:
            shapes = " and ".join(str(np.shape(arrays[name])) for name in self.parameters)
            raise ValueError(f"the pieces of {self} must fit shapes {shapes}: {error}") from error
        if len(parts) != 1:
            raise ValueError(f"{self} must join its {len(parts)} parameters: use cat, stack or sum")
        return np.ascontiguousarray(parts[0]).reshape(parts[0].shape)

    @property
    def adds(self) -> bool:
        """True if parameters are added: then state and single parameters cannot be carried."""
        return any(isinstance(piece, Sum) for piece in self.pieces)

    @property
    def takes_a_part(self) -> bool:
        """True if only a part of a parameter is taken."""
        return any(isinstance(piece, Take) for piece in self.pieces)

    def carry_gradient(self, gradients: Arrays) -> np.ndarray | None:
        """The variable's gradient; of a sum it is that of any part. None if there is none."""
        if not self.adds:
            missing = [name for name in self.parameters if name not in gradients]
            return None if missing else self.carry(gradients)
        present = [gradients[name] for name in self.parameters if name in gradients]
        return np.asarray(present[0]) if present else None

    def back(self, array: np.ndarray, into: dict[str, np.ndarray]) -> None:
        """Write the variable's array into the parameters' arrays, in place.

        Elements that the link leaves out are left alone. ValueError for a sum, and for an array
        that does not have the variable's shape.
        """
        if self.adds:
            raise ValueError(f"{self} is a sum, which cannot be undone")
        places = self.carry(_numbered(into, self.parameters))
        if places.shape != array.shape:
            raise ValueError(
                f"{self.variable} must have shape {places.shape} to go back, got {array.shape}"
            )
        first = 0
        for name in self.parameters:
            size = into[name].size
            own = (places >= first) & (places < first + size)
            flat = into[name].reshape(-1).copy()
            flat[places[own] - first] = array[own]
            into[name] = flat.reshape(into[name].shape)
            first += size

    def __str__(self) -> str:
        made_of = " + ".join(self.parameters)
        return ", ".join([f"{self.variable} = {made_of}", *map(_short, self.pieces)])


def _numbered(arrays: Arrays, names: Sequence[str]) -> dict[str, np.ndarray]:
    """In place of each array the numbers of its elements, counted on from array to array."""
    numbered: dict[str, np.ndarray] = {}
    first = 0
    for name in names:
        size = arrays[name].size
        numbered[name] = np.arange(first, first + size).reshape(arrays[name].shape)
        first += size
    return numbered


def _short(piece: Piece) -> str:
    if isinstance(piece, Take) and len(piece.indices) > 8:
        return f"take {len(piece.indices)} of axis {piece.axis}"
    return str(piece)
