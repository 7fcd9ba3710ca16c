"""Where each array of a Keras optimizer stands: the order in which Keras 3.15 creates them.

Keras saves the variables of an optimizer by number and says neither names nor owners. So a file is
read without Keras. A test builds every optimizer and compares.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule

ALL = -1  # the owner of a variable that belongs to the optimizer as a whole
NUMBER = "number:"  # before the name of a state of ours that is one vector for all variables
OURS = "Optimizer"

Shape = tuple[int, ...]
INTERLEAVED = {
    "SGD": ("momentum",),
    "Adagrad": ("accumulator",),
    "Adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "RMSprop": (),
    "Adam": ("momentum", "velocity"),
    "AdamW": ("momentum", "velocity"),
    "Adamax": ("momentum", "norm"),
    "Nadam": ("momentum", "velocity"),
    "Lion": ("momentum",),
    "Lamb": ("momentum", "velocity"),
    "Ftrl": ("accumulator", "linear"),
    "ScheduleFreeAdamW": ("momentum", "velocity"),
    "Adafactor": ("r", "c", "velocity"),
}


class Slot(NamedTuple):
    """What a variable of an optimizer is, and the place of the weights that it belongs to."""

    name: str
    owner: int = ALL


def slots(
    kind: str, config: Mapping[str, Any], shapes: Sequence[Shape], rule: Rule | None = None
) -> list[Slot]:
    """The slot of each variable of an optimizer of ``kind``, by its config and the weights' shapes.

    ``rule`` is needed for our own optimizer alone, whose kind is ``OURS``.
    """
    numbers = range(len(shapes))
    listed = _first(config)
    if config.get("use_ema"):
        listed += [Slot("average", place) for place in numbers]
    if config.get("gradient_accumulation_steps"):
        listed += [Slot("gradient_accumulator", place) for place in numbers]
    if kind == OURS and rule is not None:
        return listed + _of_ours(rule, shapes)
    if kind == "Muon":
        return listed + _of_muon(shapes)
    for place in numbers:
        listed += [Slot(name, place) for name in interleaved(kind, config)]
    for name in _list_by_list(kind, config):
        listed += [Slot(name, place) for place in numbers]
    return [*listed, Slot("u_product")] if kind == "Nadam" else listed


def interleaved(kind: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The slots that follow each other for each variable."""
    if kind == "SGD" and not config.get("momentum"):
        return ()
    return INTERLEAVED[kind]


def shapes_of(
    kind: str, config: Mapping[str, Any], arrays: Sequence[np.ndarray], rule: Rule | None = None
) -> list[Shape] | None:
    """The shapes of the weights that an optimizer's arrays belong to; None where it is not clear.

    They are read off the arrays, since Keras' files do not say which weights are trained.
    """
    first = len(_first(config))
    fixed = bool(config.get("use_ema")) + bool(config.get("gradient_accumulation_steps"))
    each = len(interleaved(kind, config)) if kind in INTERLEAVED else 1
    listed = len(_list_by_list(kind, config))
    if kind == OURS:
        vectors = [array for array in arrays[first:] if array.dtype.kind == "i"]
        counts = [vectors[0].size] if vectors else []
    elif kind == "Muon":
        counts = list(range(len(arrays) - first + 1))
    else:
        per_weight = fixed + each + listed
        counts = [(len(arrays) - first) // per_weight] if per_weight else [0]
    fitting: list[list[Shape]] = []
    for count in counts:
        shapes = _guess(kind, config, arrays[first:], count)
        if fixed:  # averages and accumulators have the shapes of the weights, and stand first
            shapes = [array.shape for array in arrays[first : first + count]]
        whole = shapes is not None and len(shapes) == count
        if shapes is not None and whole and fits(slots(kind, config, shapes, rule), shapes, arrays):
            fitting.append(shapes)
    return fitting[0] if len(fitting) == 1 else None


def fits(table: Sequence[Slot], shapes: Sequence[Shape], arrays: Sequence[np.ndarray]) -> bool:
    """True if each array has a shape that its slot can have."""
    if len(table) != len(arrays):
        return False
    for slot, array in zip(table, arrays, strict=True):
        factored = slot.name in ("r", "c") or slot.owner == ALL
        if not factored and array.shape != shapes[slot.owner]:
            return False
    return True


def _first(config: Mapping[str, Any]) -> list[Slot]:
    """The count, and the learning rate unless a schedule gives it."""
    rate = config.get("learning_rate", 0.0)
    if isinstance(rate, int | float):
        return [Slot("iteration"), Slot("learning_rate")]
    return [Slot("iteration")]


def _list_by_list(kind: str, config: Mapping[str, Any]) -> list[str]:
    """The slots of which all variables' stand together, behind the interleaved ones."""
    if kind == "RMSprop":
        names = ["velocity"]
        names += ["momentum"] if config.get("momentum") else []
        return names + (["average_gradient"] if config.get("centered") else [])
    return ["velocity_hat"] if config.get("amsgrad") else []


def _of_muon(shapes: Sequence[Shape]) -> list[Slot]:
    """Of matrices a momentum; of what Adam moves a velocity, too."""
    listed = []
    for place, shape in enumerate(shapes):
        listed.append(Slot("momentum", place))
        if len(shape) != 2:
            listed.append(Slot("velocity", place))
    return listed


def _of_ours(rule: Rule, shapes: Sequence[Shape]) -> list[Slot]:
    """Step counts in one vector, then the rule's own states; a number of each is one vector."""
    listed, vectors = [Slot("steps")], set()
    for place, shape in enumerate(shapes):
        for name, value in rule.start(np.broadcast_to(np.float16(0), shape), np).items():
            if value.shape or not shape:
                listed.append(Slot(name, place))
            elif name not in vectors:
                vectors.add(name)
                listed.append(Slot(NUMBER + name))
    return listed


def _guess(
    kind: str, config: Mapping[str, Any], arrays: Sequence[np.ndarray], count: int
) -> list[Shape] | None:
    """The shapes of ``count`` weights by the arrays from the first one's slots on."""
    if kind == "Muon":
        return _guess_of_muon(arrays, count)
    if kind == OURS:
        return None
    each = len(interleaved(kind, config)) or 1
    last = each - 1 if kind == "Adafactor" else 0
    places = [place * each + last for place in range(count)]
    if places and places[-1] >= len(arrays):
        return None
    return [arrays[place].shape for place in places]


def _guess_of_muon(arrays: Sequence[np.ndarray], count: int) -> list[Shape] | None:
    shapes: list[Shape] = []
    place = 0
    while len(shapes) < count:
        if place >= len(arrays):
            return None
        shapes.append(arrays[place].shape)
        place += 1 if len(shapes[-1]) == 2 else 2
    return shapes
