"""Wrong ways to copy a weight, as users' converters have them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from samestep.migrate.pieces import Permute, Take


def wrong_copies(judge: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """A description and the array that a wrong copy of Keras' variable ``name`` would have."""
    link = judge.links[name]
    before = judge.record.steps[0].before
    right = link.carry(before)
    arrays = [before[parameter] for parameter in link.parameters]
    if right.ndim == 2:
        if right.shape[0] == right.shape[1]:
            yield "without transposing it", right.T
        yield from _undone_takes(link, before)
    if right.ndim == 4:
        yield "with the kernel flipped", right[::-1, ::-1]
        yield "with height and width exchanged", right.transpose(1, 0, 2, 3)
        if right.shape[2] == right.shape[3]:
            yield "without exchanging the channels", right.transpose(0, 1, 3, 2)
        swapped = right.transpose(0, 1, 3, 2).reshape(right.shape)
        yield "with the multiplier before the channel", swapped
    if len(arrays) == 1 and arrays[0].size == right.size:
        yield "reshaped where it must be transposed", arrays[0].reshape(right.shape)
    for parameter, array in zip(link.parameters, arrays, strict=True):
        if len(arrays) > 1 and array.shape == right.shape:
            yield f"from {parameter} alone", array
            yield f"from {parameter} twice", 2 * array
    if len(arrays) > 1 and arrays[0].shape == arrays[-1].shape and right.ndim == 2:
        yield "without exchanging the gates", np.stack(arrays)
    yield "twice as large", 2 * right
    yield "negated", -right
    yield "as zeros", np.zeros_like(right)
    if name in judge.start:
        yield "not at all: it has its start value", judge.start[name]
    for other, theirs in judge.usable().items():
        if other != name and judge.shapes[other] == right.shape:
            yield f"with the value of {other}", theirs.carry(before)


def _undone_takes(link: Any, before: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Without the piece that puts rows or gates in order."""
    rest = tuple(piece for piece in link.pieces if not isinstance(piece, Take))
    if len(rest) == len(link.pieces) or len(link.parameters) > 1:
        return
    array = before[link.parameters[0]]
    for piece in rest:
        if isinstance(piece, Permute):
            array = array.transpose(piece.axes)
    take = next(piece for piece in link.pieces if isinstance(piece, Take))
    if len(take.indices) == array.shape[take.axis]:
        rows = "with rows in the order channel, height, width"
        yield (rows if take.axis == 0 else "without exchanging the gates"), array
