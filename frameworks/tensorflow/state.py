"""Saved states of Keras' adapter: loaded whole or refused.

Keras saves the variables of an optimizer by number. Our files also have an entry that says whose
variables they are, in their order: the rule, and the paths of the model's variables.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from samestep.reference import dialects
from samestep.reference.saved_state import count_of

CONTENTS = "contents"  # the key of that entry
COUNTS = ("iteration", "steps")  # the variables that count steps
SHOWN = 8  # names in a message


class Contents(NamedTuple):
    """Whose variables a file has: the rule's name, and the paths of the variables that it moves.

    There are none while the optimizer is not built. ``views`` are those under which the rule sees
    the variables, in plain form, or None.
    """

    rule: str
    paths: list[str]
    views: list[Any] | None = None

    def to_array(self) -> np.ndarray:
        """The contents as bytes, an array that every file can hold."""
        return np.frombuffer(json.dumps(self._asdict()).encode(), np.uint8)


def contents_from(data: Any) -> Contents:
    """The inverse of ``to_array``; ValueError for anything else."""
    try:
        values = json.loads(np.asarray(data, np.uint8).tobytes())
        paths = [str(path) for path in values["paths"]]
        return Contents(str(values["rule"]), paths, values.get("views"))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"the file's entry {CONTENTS!r} must be that of samestep's optimizer, got {data!r:.80}"
        ) from error


class Signature(tf.train.experimental.PythonState):
    """The contents in TensorFlow's own checkpoints, which read it before any variable.

    What was restored before the optimizer is built is checked by ``check_pending``.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.pending: Contents | None = None

    def serialize(self) -> bytes:
        """The contents as they are saved."""
        return contents_of(self.optimizer).to_array().tobytes()

    def deserialize(self, string_value: bytes) -> None:
        """Refuse a checkpoint of other contents; ValueError before anything is restored."""
        saved = contents_from(np.frombuffer(string_value, np.uint8))
        if self.optimizer.built:
            check_contents(contents_of(self.optimizer), saved)
        else:
            self.pending = saved

    def check_pending(self) -> None:
        """Refuse what was restored, unless it fits the variables that are built now."""
        if self.pending is not None:
            check_contents(contents_of(self.optimizer), self.pending)
            self.pending = None


def contents_of(optimizer: Any) -> Contents:
    """What a file of this optimizer has now."""
    paths = [getattr(variable, "path", variable.name) for variable in trained_by(optimizer)]
    frames = optimizer._frames or []
    views = [None if view is None else view.to_plain() for view in frames]
    return Contents(type(optimizer.rule).__name__, paths, views if any(views) else None)


def trained_by(optimizer: Any) -> list[Any]:
    """The variables that the optimizer moves; none before it is built."""
    return list(optimizer._trainable_variables)


def check_contents(ours: Contents, saved: Contents) -> None:
    """ValueError if the file is of another rule, or of the same variables in another order."""
    if saved.rule != ours.rule:
        raise ValueError(
            f"the saved state must belong to {ours.rule}, got {saved.rule}; build the optimizer "
            "with that rule"
        )
    if not saved.paths:
        return
    if len(saved.paths) != len(ours.paths):
        raise ValueError(
            f"the saved state must be of {len(ours.paths)} variables, as the optimizer has, got "
            f"{len(saved.paths)}: {_listed(saved.paths)}; build the optimizer with these"
        )
    _check_order(ours, saved)
    if saved.views != ours.views:
        raise ValueError(
            f"the saved state must be of the same views as the optimizer's, {_views(ours)}, got "
            f"{_views(saved)}; build the optimizer with the views that were saved"
        )


def _check_order(ours: Contents, saved: Contents) -> None:
    """ValueError if names show that the saved variables stand in another order."""
    our_paths, saved_paths = _without_common_start(ours.paths), _without_common_start(saved.paths)
    unique = len(set(our_paths)) == len(our_paths)
    if not unique or sorted(saved_paths) != sorted(our_paths):
        return  # names that say nothing, such as those that Keras numbers in each process
    for place, (path, saved_path) in enumerate(zip(our_paths, saved_paths, strict=True)):
        if path != saved_path:
            raise ValueError(
                f"the saved state must have the variables in the optimizer's order, got "
                f"{saved_path!r} at place {place}, where the optimizer has {path!r}; build the "
                f"optimizer with its variables in the order {_listed(saved_paths)}"
            )


def _views(contents: Contents) -> str:
    """The views in a message, by path."""
    pairs = zip(contents.paths, contents.views or [], strict=False)
    return str({path: view for path, view in pairs if view}) if contents.views else "none"


def _without_common_start(paths: list[str]) -> list[str]:
    """Paths without the names that all begin with, such as that of a model, which may change."""
    split = [path.split("/") for path in paths]
    while split and all(len(names) > 1 and names[0] == split[0][0] for names in split):
        split = [names[1:] for names in split]
    return ["/".join(names) for names in split]


def checked_values(optimizer: Any, store: Mapping[str, Any], first: int) -> list[np.ndarray]:
    """The value of each variable of the optimizer; ValueError if something is amiss.

    ``store`` is what Keras reads of a file: by number, the variables in their order. The ``first``
    of them exist before the optimizer is built.
    """
    variables = optimizer.variables
    keys = set(store.keys())
    ours = contents_of(optimizer)
    labelled = CONTENTS in keys
    keys.discard(CONTENTS)
    if not labelled and len(keys) != len(variables):
        raise ValueError(_refusal_of_stranger(ours.rule, store, len(variables)))
    if not optimizer.built and len(keys) > first:
        raise ValueError(
            "an optimizer must be built before its state is loaded; call "
            "optimizer.build(model.trainable_variables) before, or load the model with "
            "compile=False if it is not to be trained"
        )
    if labelled:
        check_contents(ours, contents_from(store[CONTENTS]))
    if optimizer.built and len(keys) == first and _untrained(store):
        variables = variables[:first]  # saved before the first step: the rest starts anew
    expected = [str(place) for place in range(len(variables))]
    missing = [_label(int(key), variables) for key in expected if key not in keys]
    extra = sorted(keys.difference(expected))
    if missing or extra:
        raise ValueError(
            f"the saved state must have {len(expected)} variables, as the optimizer has; missing "
            f"are: {_listed(missing)}, and not the optimizer's are: {_listed(extra)}. Build the "
            "optimizer with the same rule, options and kind of learning rate as the saved one"
        )
    return [
        _checked_value(_label(place, variables), variable, store[str(place)])
        for place, variable in enumerate(variables)
    ]


def checked_hyperparameters(kind: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a saved config; ValueError if one of them is missing."""
    missing = [name for name in kind.names() if name not in saved]
    if missing:
        raise ValueError(
            f"the saved config must have every hyperparameter of {kind.__name__}, it lacks "
            f"{', '.join(missing)}; save the optimizer again, or build it with the rule"
        )
    return dict(saved)


def refusal_of_native_config(config: Mapping[str, Any]) -> str:
    """What to say of a config that no optimizer of this project gave."""
    return (
        "the config must be that of samestep's optimizer, with 'rule' and 'hyperparameters', got "
        f"one with {_listed(list(config))}; that of a native of Keras is read by that native's "
        "own from_config, and samestep.reference.dialects.keras.read(name, ...) gives its rule"
    )


def _checked_value(label: str, variable: Any, value: Any) -> np.ndarray:
    """The value for one variable of the optimizer."""
    array = np.asarray(value)
    if array.shape != tuple(variable.shape):
        raise ValueError(
            f"{label} must have the shape {tuple(variable.shape)}, got {array.shape}; load it into "
            "an optimizer of the variables that it was saved for, in their order"
        )
    if variable.name in COUNTS:
        numbers = [count_of(label, number) for number in array.ravel().tolist()]
        array = np.array(numbers, np.int64).reshape(array.shape)
    dtype = tf.as_dtype(variable.dtype).as_numpy_dtype
    with np.errstate(all="ignore"):
        new = array.astype(dtype)
        exact = np.array_equal(new.astype(array.dtype), array, equal_nan=array.dtype.kind != "i")
    if not exact:
        raise ValueError(
            f"{label} must have numbers that {variable.dtype} holds, got {array.dtype}; load it "
            f"beside variables of {array.dtype}"
        )
    return new


def _untrained(store: Mapping[str, Any]) -> bool:
    """True if a file is of an optimizer that has taken no step."""
    return "0" in store.keys() and not np.any(store["0"])  # noqa: SIM118  # a file of Keras'


def _label(place: int, variables: Sequence[Any]) -> str:
    return f"variable {place} ({variables[place].name!r})"


def _refusal_of_stranger(ours: str, store: Mapping[str, Any], count: int) -> str:
    """What to say of a file whose optimizer was another's."""
    group = getattr(store, "_h5_entry_group", {})
    name = str(getattr(group, "attrs", {}).get("name", ""))
    plain = re.sub(r"_\d+$", "", name).replace("_", "")  # of "rm_sprop_2", the second of a process
    natives = [native for native in dialects.keras.natives if native.lower() == plain.lower()]
    origin = f"it looks like that of keras.optimizers.{natives[0]}" if natives else "a native's"
    return (
        f"the saved state must belong to {ours} of samestep and have {count} variables, got "
        f"{len(store.keys())} that samestep did not save: {origin}. Nothing here converts it yet. "
        "To go on from it, load it into that optimizer of Keras; or start anew with "
        "Optimizer(samestep.reference.dialects.keras.read(name, ...)), the rule of its steps"
    )


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(map(str, names[:SHOWN])) or "none"
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
