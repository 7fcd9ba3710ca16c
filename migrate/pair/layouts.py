"""How a tensor of one model lies in the other: channels first or last, flattened, one time step."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

CLOSE = 2.0**-16  # "the same values" when twins are looked for; never for a verdict


class Layout(NamedTuple):
    """A way from PyTorch's layout to Keras'. ``name`` says it in words.

    ``adds`` is True where PyTorch has equal copies of what Keras has once: of their gradients
    Keras has the sum.
    """

    name: str
    carry: Callable[[np.ndarray], np.ndarray]
    adds: bool = False

    def carry_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient in Keras' layout."""
        return gradient.sum(0) if self.adds else self.carry(gradient)

    def fits(self, array: np.ndarray) -> bool:
        """False for an array of unequal parts that the layout takes for copies."""
        return not self.adds or bool(np.all(array == array[:1]))


def _same(array: np.ndarray) -> np.ndarray:
    return array


SAME = Layout("same", _same)


def is_close(actual: np.ndarray, expected: np.ndarray) -> bool:
    """True if the arrays have one shape and about the same values."""
    if actual.shape != expected.shape:
        return False
    size = np.max(np.abs(expected), initial=0)
    return bool(np.max(np.abs(actual - expected), initial=0) <= CLOSE * size)


def digest(array: np.ndarray) -> np.ndarray:
    """The same for all orders of the same elements, with or without a rim of zeros."""
    return np.sort(array[array != 0], axis=None)


def _channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def _flat_image(image: Sequence[int], flat: bool) -> Callable[[np.ndarray], np.ndarray]:
    def carry(array: np.ndarray) -> np.ndarray:
        last = _channels_last(array.reshape(-1, *image))
        return last.reshape(len(array), -1) if flat else last

    return carry


def flattened(image: Sequence[int]) -> Layout:
    """The layout of a flattened image (channels, height, ...) whose channels go last."""
    return Layout("flattened " + " x ".join(map(str, image)), _flat_image(image, flat=True))


def layouts(
    shape: tuple[int, ...], target: tuple[int, ...], images: Sequence[tuple[int, ...]] = ()
) -> Iterator[Layout]:
    """Ways in which a tensor of ``shape`` may lie as one of shape ``target``, most usual first.

    ``images`` are shapes (channels, height, ...) that PyTorch's model had before it flattened.
    """
    for layout in _candidates(shape, target, images):
        try:
            fits = layout.carry(np.broadcast_to(np.float32(0), shape)).shape == target
        except (ValueError, IndexError):
            continue
        if fits:
            yield layout


def _candidates(
    shape: tuple[int, ...], target: tuple[int, ...], images: Sequence[tuple[int, ...]]
) -> Iterator[Layout]:
    if len(shape) > 3:
        yield Layout("channels last", _channels_last)
    yield SAME
    if len(shape) > 4:
        yield Layout("channels last of a video", lambda array: np.moveaxis(array, 2, -1))
    if len(shape) > 1 and shape[1:] == target:
        yield Layout("one of equal copies", lambda array: array[0], adds=True)
    if len(shape) == 3:
        yield Layout("channels last", _channels_last)
        yield Layout("batch first", lambda array: array.swapaxes(0, 1))
        yield Layout("last step", lambda array: array[:, -1])
        yield Layout("last step, batch first", lambda array: array[-1])
    if len(shape) > 2:
        yield Layout(
            "channels last, other shape", lambda array: _channels_last(array).reshape(target)
        )
    if len(shape) == 2:
        for image in images:
            if int(np.prod(image)) == shape[1] and image[0] > 1 and shape[1] > image[0]:
                name = "flattened " + " x ".join(map(str, image))
                yield Layout(name, _flat_image(image, flat=True))
                yield Layout(f"{name}, as an image", _flat_image(image, flat=False))
    yield Layout("other shape", lambda array: array.reshape(target))


def find(
    array: np.ndarray, target: np.ndarray, images: Sequence[tuple[int, ...]] = ()
) -> tuple[Layout | None, bool]:
    """The layout under which both hold about the same values, and True; else the most usual one.

    None if no layout fits the shapes.
    """
    fitting = [each for each in layouts(array.shape, target.shape, images) if each.fits(array)]
    for layout in fitting:
        if is_close(layout.carry(array), target):
            return layout, True
    return (fitting[0] if fitting else None), False
