"""Which side is A, whose values are put in, and how A's values become B's.

Layouts and links always lead from PyTorch to Keras, and values are compared as Keras has them. With
Keras as A, its values go the way of a layout or link backwards.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from samestep.migrate.pieces import Link

from . import layouts
from .layouts import Layout
from .record import Arrays, Record, leaves

T = TypeVar("T")
Image = tuple[int, ...]


class FromPytorch:
    """A is PyTorch's record, B the live Keras side."""

    reference = "pytorch"

    @staticmethod
    def sides(a: T, b: T) -> tuple[T, T]:
        """PyTorch's and Keras' of A's and B's; or A's and B's of PyTorch's and Keras'."""
        return a, b

    def find(
        self, a: np.ndarray, b: np.ndarray, images: Sequence[Image] = ()
    ) -> tuple[Layout | None, bool]:
        """The layout of PyTorch's array in Keras, and whether both hold the same values."""
        return layouts.find(*self.sides(a, b), images)

    def put(self, layout: Layout, value: np.ndarray, own: np.ndarray) -> np.ndarray:
        """A's value in B's layout; ``own`` is B's array, which gives the shape."""
        return layout.carry(value)

    def put_gradient(self, layout: Layout, gradient: np.ndarray, own: np.ndarray) -> np.ndarray:
        """A's gradient in B's layout, for an output of B of the shape of ``own``."""
        return layout.carry_gradient(gradient)

    def weights(self, links: Mapping[str, Link], of_a: Arrays, start: Arrays) -> Arrays:
        """B's arrays made of A's by the links; those without a link are those of ``start``."""
        return {**start, **{name: link.carry(of_a) for name, link in links.items()}}

    def gradients(self, links: Mapping[str, Link], of_a: Arrays, start: Arrays) -> Arrays:
        """The gradients of B's variables made of those of A's."""
        made = {name: link.carry_gradient(of_a) for name, link in links.items()}
        return {name: gradient for name, gradient in made.items() if gradient is not None}

    def made_by(self, link: Link) -> tuple[str, ...]:
        """The names of B's arrays that the link makes."""
        return (link.variable,)

    def made_of(self, link: Link) -> tuple[str, ...]:
        """The names of A's arrays that the link is made of."""
        return link.parameters

    @staticmethod
    def image(shape: Image) -> Image:
        """(channels, height, ...) of a batch of images in A's usual layout."""
        return shape[1:]

    def images(self, record: Record) -> list[Image]:
        """The shapes (channels, height, ...) that tensors of A have, its batch among them."""
        return list(dict.fromkeys(self.image(array.shape) for array in _images(record)))


class FromKeras(FromPytorch):
    """A is Keras' record, B the live PyTorch side."""

    reference = "keras"

    @staticmethod
    def sides(a: T, b: T) -> tuple[T, T]:
        """PyTorch's and Keras' of A's and B's; or A's and B's of PyTorch's and Keras'."""
        return b, a

    def put(self, layout: Layout, value: np.ndarray, own: np.ndarray) -> np.ndarray:
        """A's value in B's layout; elements that A does not have stay B's."""
        places = layout.carry(np.arange(own.size).reshape(own.shape))
        if places.shape != value.shape:
            return value
        made = np.array(own, value.dtype)
        made.reshape(-1)[places] = value
        if layout.adds:
            made[...] = value
        return made

    def put_gradient(self, layout: Layout, gradient: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Of equal copies, the first has the gradient."""
        return FromKeras.put(self, layout._replace(adds=False), gradient, np.zeros(own.shape))

    def weights(self, links: Mapping[str, Link], of_a: Arrays, start: Arrays) -> Arrays:
        """Of a sum, the first part has the value, and the others are 0."""
        made = {name: np.array(array) for name, array in start.items()}
        for variable, link in links.items():
            self._back(link, of_a[variable], made)
        return made

    def gradients(self, links: Mapping[str, Link], of_a: Arrays, start: Arrays) -> Arrays:
        """Of a sum, each part has the gradient."""
        made: Arrays = {}
        for variable, link in links.items():
            if variable not in of_a:
                continue
            for name in link.parameters:
                made.setdefault(name, np.zeros_like(start[name]))
            if link.adds:
                made |= dict.fromkeys(link.parameters, np.asarray(of_a[variable]))
            else:
                link.back(of_a[variable], made)
        return made

    @staticmethod
    def _back(link: Link, value: np.ndarray, made: Arrays) -> None:
        if not link.adds:
            link.back(value, made)
            return
        first, *rest = link.parameters
        made[first] = np.asarray(value).reshape(made[first].shape)
        for name in rest:
            made[name] = np.zeros_like(made[name])

    def made_by(self, link: Link) -> tuple[str, ...]:
        """The names of B's arrays that the link makes."""
        return link.parameters

    def made_of(self, link: Link) -> tuple[str, ...]:
        """The names of A's arrays that the link is made of."""
        return (link.variable,)

    @staticmethod
    def image(shape: Image) -> Image:
        """(channels, height, ...) of a batch of images in A's usual layout."""
        return (shape[-1], *shape[1:-1])

    def images(self, record: Record) -> list[Image]:
        """The same, of tensors that have their channels last, and of those that have them first."""
        shapes = [array.shape[1:] for array in _images(record) if array.ndim > 3]
        return list(dict.fromkeys([*super().images(record), *shapes]))


Direction = FromPytorch


def of_record(record: Record) -> Direction:
    """The direction in which a record of this side is A."""
    return FromPytorch() if record.side == "pytorch" else FromKeras()


def _images(record: Record) -> list[np.ndarray]:
    """The tensors of A that may be batches of images or sequences."""
    arrays = [np.asarray(array) for array in leaves(record.inputs)]
    for call in record.steps[0].calls:
        arrays += [call.output, *call.inputs]
    return [array for array in arrays if array.ndim > 2]
