"""The batch of one side in the layout of the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import kinds, layouts
from .layouts import is_close
from .record import Record, Step, leaves
from .shared import Batch


def batch_of_other(record: Record, model: Any) -> Batch:
    """A's batch in the layout that B's model expects."""
    if record.side == "pytorch":
        return batch_of_keras(record, model)
    step = record.steps[0]

    def in_pytorch(array: np.ndarray) -> np.ndarray:
        is_image = array.ndim > 3 or (array.ndim == 3 and _consumer(step, array) in kinds.CHANNELS)
        return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if is_image else array

    targets = [
        np.moveaxis(array, -1, 1) if _has_channels(step, array) else array
        for array in leaves(record.targets)
    ]
    moved = [in_pytorch(array) for array in leaves(record.inputs)]
    return Batch(
        _rebuilt(record.inputs, iter(moved)),
        _rebuilt(record.targets, iter(targets)),
        record.weights,
    )


def moved_batch(batch: Batch, record: Record) -> Batch:
    """PyTorch's batch in the orientation of Keras' record, array by array."""

    def in_keras(array: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        fitting = [each for each in orientations(array) if each.shape == recorded.shape]
        return fitting[0] if fitting else array

    def moved(tree: Any, recorded: Any) -> Any:
        pairs = zip(leaves(tree), leaves(recorded), strict=False)
        arrays = [in_keras(*pair) for pair in pairs]
        return _rebuilt(tree, iter(arrays)) if len(arrays) == len(leaves(tree)) else tree

    inputs, targets = moved(batch.inputs, record.inputs), moved(batch.targets, record.targets)
    return Batch(inputs, targets, batch.weights)


def batch_for_keras(batch: Batch, model: Any) -> Batch:
    """A batch in PyTorch's layout as a Keras model expects it, by its shapes and first layers."""
    shapes = _input_shapes(model)
    arrays = leaves(batch.inputs)
    consumer = "conv" if _begins_with_channels(model) else ""
    moved = [
        _in_keras(array, shapes[number] if len(shapes) == len(arrays) else None, consumer)
        for number, array in enumerate(arrays)
    ]
    targets = [
        np.moveaxis(array, 1, -1) if array.ndim > 3 else array for array in leaves(batch.targets)
    ]
    inputs = _rebuilt(batch.inputs, iter(moved))
    return Batch(inputs, _rebuilt(batch.targets, iter(targets)), batch.weights)


def _begins_with_channels(model: Any) -> bool:
    """True if the first known layer of a Keras model is one that has an axis of channels."""
    known = [kinds.KERAS.get(type(layer).__name__) for layer in model._flatten_layers()]
    named = [kind for kind in known if kind and kind.kind not in kinds.LAYOUT]
    return bool(named) and named[0].kind in kinds.CHANNELS


def batch_of_keras(record: Record, model: Any) -> Batch:
    """A's batch in the layout that Keras' model expects."""
    step = record.steps[0]
    shapes = _input_shapes(model)
    arrays = leaves(record.inputs)
    moved = []
    for number, array in enumerate(arrays):
        shape = shapes[number] if len(shapes) == len(arrays) else None
        moved.append(_in_keras(array, shape, _consumer(step, array)))
    inputs = _rebuilt(record.inputs, iter(moved))
    return Batch(inputs, _targets(record, step), record.weights)


def _targets(record: Record, step: Step) -> Any:
    """Targets of the shape of an output that has channels on axis 1 get them last."""
    shapes = [output.shape for output in step.outputs]
    moved = [
        np.moveaxis(array, 1, -1) if array.shape in shapes and _has_channels(step, array) else array
        for array in leaves(record.targets)
    ]
    return _rebuilt(record.targets, iter(moved))


def _has_channels(step: Step, target: np.ndarray) -> bool:
    """True for images and videos, and for sequences if the output of their shape has channels."""
    if target.ndim != 3:
        return target.ndim > 3
    for output in step.outputs:
        if output.shape == target.shape:
            calls = [call for call in step.calls if call.kind not in kinds.ELEMENTWISE]
            makers = [call for call in calls if call.output.shape == output.shape]
            return bool(makers) and makers[-1].kind in kinds.CHANNELS
    return False


def _input_shapes(model: Any) -> list[tuple[int | None, ...]]:
    """The shapes of the inputs that a functional or sequential model declares; empty if none."""
    inputs = getattr(model, "inputs", None)
    return [tuple(tensor.shape) for tensor in inputs] if inputs else []


def _consumer(step: Step, array: np.ndarray) -> str:
    """The kind of A's first call that is given the array."""
    wanted = layouts.digest(np.asarray(array, np.float64))
    for call in step.calls:
        if any(is_close(layouts.digest(each), wanted) for each in call.inputs):
            return call.kind
    return ""


def _in_keras(array: np.ndarray, shape: tuple[int | None, ...] | None, consumer: str) -> np.ndarray:
    if array.ndim < 3:
        return array
    last = np.moveaxis(array, 1, -1)
    if shape is not None:
        candidates = orientations(array)
        if array.ndim == 3 and consumer not in kinds.CHANNELS:
            candidates.reverse()
        for candidate in candidates:
            if _accepts(shape, candidate.shape):
                return candidate
        known = [size for size in shape[1:] if size is not None]
        if len(known) == len(shape) - 1 and int(np.prod(known)) == last[0].size:
            return last.reshape(len(array), *known)
        return last if array.ndim > 3 else array
    if array.ndim > 3 or consumer in kinds.CHANNELS:
        return last
    return array


def orientations(array: np.ndarray) -> list[np.ndarray]:
    """The array with an axis of channels moved to the end: axis 1, axis 2 of videos, or none."""
    array = np.asarray(array)
    if array.ndim < 3:
        return [array]
    moved = [np.moveaxis(array, 1, -1)]
    if array.ndim > 4:
        moved.append(np.moveaxis(array, 2, -1))
    return [*moved, array]


def _accepts(shape: tuple[int | None, ...], actual: tuple[int, ...]) -> bool:
    if len(shape) != len(actual):
        return False
    pairs = zip(shape[1:], actual[1:], strict=True)
    return all(size in (None, given) for size, given in pairs)


def _rebuilt(tree: Any, arrays: Iterator[np.ndarray]) -> Any:
    """The tree with its arrays replaced in order."""
    if isinstance(tree, dict):
        return {key: _rebuilt(each, arrays) for key, each in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rebuilt(each, arrays) for each in tree]
    return None if tree is None else next(arrays)
