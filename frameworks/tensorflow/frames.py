"""Views of Keras' variables: PyTorch's frame of each, and how a step goes there and back."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from samestep.reference.arguments import shown
from samestep.reference.checks import require
from samestep.reference.conventions import frames
from samestep.reference.views import View

from .exclusions import path_of

SHOWN = 6  # names in a warning


def views(model: Any) -> dict[str, View]:
    """PyTorch's frame of each trainable variable of a Keras model that lies otherwise there.

    For ``Optimizer(rule, views=views(model))``, so that Muon, Adafactor and LAMB take the steps
    that they take in PyTorch. Found from the class of each layer. Keys are the paths of the
    variables. Warns of variables with several axes in layers that are not known; give those a view
    by hand: ``{**views(model), "mine/kernel": (1, 0)}``.
    """
    require("model", model, keras.layers.Layer, "a Keras model or layer")
    if not model.built:
        raise ValueError(
            f"a model must be built before its variables have views, got {shown(model)} without "
            "variables; call it on a batch, or build(input_shape)"
        )
    seen: dict[str, View] = {}
    strange = []
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            known, view = _view(layer, variable)
            if view is not None:
                seen[path_of(variable)] = view
            if not known:
                strange.append(path_of(variable))
    if strange:
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        warnings.warn(
            f"no view is known for {', '.join(strange[:SHOWN])}{more}, whose layers are not known; "
            "the rule sees them as they are stored. If they lie otherwise in PyTorch, add views by "
            "path: {**views(model), path: (1, 0)}",
            stacklevel=2,
        )
    return seen


def _view(layer: Any, variable: Any) -> tuple[bool, View | None]:
    """Whether the layer is known, and the variable's view if it lies otherwise in PyTorch."""
    shape, name = tuple(variable.shape), path_of(variable).rpartition("/")[2]
    if len(shape) < 2:
        return True, None
    for kind in _kinds(layer):
        if kind in frames.KERAS_ALIKE:
            return True, None
        if name == frames.KERAS_VECTORS.get(kind):
            return True, View(tuple(range(len(shape))), joined=(math.prod(shape),))
        if name == frames.KERAS_DEPTHWISE.get(kind):
            return True, frames.of_depthwise_in_keras(shape)
        if name in frames.KERAS.get(kind, {}):
            return True, View(frames.KERAS[kind][name])
        if kind == "EinsumDense" and name == "kernel":
            view = frames.of_einsum(layer.equation, shape)
            return view is not None, view
    return False, None


def _kinds(layer: Any) -> Iterator[str]:
    """The names of the classes of Keras that the layer is of."""
    for kind in type(layer).__mro__:
        if kind.__module__.partition(".")[0] == "keras":
            yield kind.__name__


def chosen_views(
    views: Mapping[str, View] | None, variables: Sequence[Any]
) -> list[View | None] | None:
    """The view of each variable; None if there are no ``views`` at all.

    Warns of views for no variable. ValueError if a view does not fit its variable.
    """
    if views is None:
        return None
    paths = [path_of(variable) for variable in variables]
    by_end: dict[str, list[str]] = {}
    for path in views:
        by_end.setdefault(_without_model(path), []).append(path)
    used: set[str] = set()
    chosen: list[View | None] = []
    for path, variable in zip(paths, variables, strict=True):
        key = path
        if path not in views:  # the name of a model may have changed when it was loaded
            fitting = by_end.get(path, by_end.get(_without_model(path), []))
            key = fitting[0] if len(fitting) == 1 else ""
        view = views.get(key)
        if view is not None:
            used.add(key)
            _check_fit(path, view, variable)
        chosen.append(view)
    vain = [path for path in views if path not in used]
    if vain:
        warnings.warn(
            f"views must name variables of the optimizer; {', '.join(map(repr, vain[:SHOWN]))} "
            f"{'is' if len(vain) == 1 else 'are'} none of {', '.join(paths[:SHOWN])}",
            stacklevel=3,
        )
    return chosen


def _without_model(path: str) -> str:
    """The path without its first name, which may be the model's."""
    return path.partition("/")[2] or path


def _check_fit(path: str, view: View, variable: Any) -> None:
    try:
        view.shape_of(variable.shape)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def to_frame(x: Any, view: View | None) -> Any:
    """The tensor as the rule sees it."""
    if view is None:
        return x
    if view.split is not None:
        x = tf.reshape(x, view.split)
    x = tf.transpose(x, view.axes)
    return x if view.joined is None else tf.reshape(x, view.joined)


def from_frame(x: Any, view: View | None, shape: Sequence[int]) -> Any:
    """The inverse of ``to_frame`` for a tensor of ``shape``."""
    if view is None:
        return x
    start = view.split_of(shape)
    x = tf.reshape(x, [start[axis] for axis in view.axes])
    return tf.reshape(tf.transpose(x, view.inverse_axes), shape)
