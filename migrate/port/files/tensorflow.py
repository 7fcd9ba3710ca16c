"""TensorFlow's checkpoints, of which only the prefix is a name: the arrays by their keys."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samestep.migrate.port.disk import read_once
from samestep.migrate.port.refused import Refused
from samestep.reference import dialects

from .keras import optimizer_of
from .saved import Saved, SavedOptimizer, SavedTensor

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
SLOT = "/.OPTIMIZER_SLOT/"
KERAS = "_variables/"
OPTIMIZERS = (KERAS, "_iterations", "_learning_rate", "_u_product")
ITERATIONS = ("_iterations", "iter", "iterations")


def is_checkpoint(prefix: Path) -> bool:
    """True if the files of a checkpoint have this prefix."""
    return prefix.with_name(prefix.name + ".index").is_file()


def read_tensorflow(prefix: Path, call: str = "") -> Saved:
    """What a checkpoint holds; ``call``, such as "keras:Adam()", says whose state it is."""
    arrays = _arrays(prefix)
    try:
        return _saved(arrays, call)
    except Refused as error:
        raise Refused(f"{prefix}: {error}") from None


def _arrays(prefix: Path) -> dict[str, np.ndarray]:
    """All numbers of a copy of the checkpoint, which nobody can exchange while it is read."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise Refused(
            "checkpoints of TensorFlow need TensorFlow, which is not installed; "
            "pip install 'samestep[tensorflow]'"
        ) from error
    parts = [prefix.with_name(prefix.name + ".index")]
    parts += sorted(prefix.parent.glob(glob_escaped(prefix.name) + ".data-*-of-*"))
    with tempfile.TemporaryDirectory() as folder:
        size = 0
        for part in parts:
            content = read_once(part)
            size += len(content)
            copy = Path(folder, "copy" + part.name[len(prefix.name) :])
            copy.write_bytes(content)
        try:
            reader = tf.train.load_checkpoint(str(Path(folder, "copy")))
            dtypes = reader.get_variable_to_dtype_map()
            shapes = reader.get_variable_to_shape_map()
            total = 0
            for name, dtype in dtypes.items():
                total += 0 if dtype == tf.string else dtype.size * int(np.prod(shapes[name]))
            if total > size:
                raise Refused(f"{prefix}: its arrays claim {total} bytes, its files have {size}")
            numbers = [name for name, dtype in dtypes.items() if dtype != tf.string]
            return {name: np.asarray(reader.get_tensor(name)) for name in sorted(numbers)}
        except (tf.errors.OpError, RuntimeError, ValueError, TypeError) as error:
            if isinstance(error, Refused):
                raise
            raise Refused(f"{prefix} must be a whole checkpoint of TensorFlow: {error}") from None


def glob_escaped(name: str) -> str:
    """A name of which ``glob`` takes every character as it is."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _saved(arrays: Mapping[str, np.ndarray], call: str) -> Saved:
    """The optimizers of a checkpoint: of Keras 3, Keras 2 or TensorFlow 1, by the names of keys."""
    plain = {name.removesuffix(VALUE): array for name, array in arrays.items()}
    for name in plain:
        if name.endswith("_iterations"):
            return _of_keras(plain, name[: -len("_iterations")], call)
    if any(SLOT in name for name in plain):
        return _by_slot(plain)
    return _of_tensorflow1(plain)


def _of_keras(arrays: Mapping[str, np.ndarray], start: str, call: str) -> Saved:
    """Keras 3, and the newer optimizers of Keras 2: by number."""
    values = {"0": arrays[start + "_iterations"]}
    if start + "_learning_rate" in arrays:
        values["1"] = arrays[start + "_learning_rate"]
    for name, array in arrays.items():
        if name.startswith(start + KERAS):
            values[name[len(start + KERAS) :]] = array
    weights = {
        name.replace("_trainable_variables/", "trainable variable "): array
        for name, array in arrays.items()
        if not name.startswith(tuple(start + part for part in OPTIMIZERS))
    }
    if start + "_u_product" in arrays:  # Nadam's, which stands last
        values[str(len(values))] = arrays[start + "_u_product"]
    keys = sorted(values, key=lambda key: int(key) if key.isdecimal() else -1)
    ordered = [values[key] for key in keys]
    optimizer = optimizer_of(ordered, call, "")
    return Saved(format="TensorFlow's checkpoint", weights=weights, optimizers=(optimizer,))


def _by_slot(arrays: Mapping[str, np.ndarray]) -> Saved:
    """Keras 2: each array of the optimizer stands under its variable, by name."""
    states: dict[str, dict[str, np.ndarray]] = {}
    weights = {}
    taken = None
    for name, array in arrays.items():
        if SLOT in name:
            variable, _, slot = name.partition(SLOT)
            states.setdefault(variable, {})[slot.rpartition("/")[2]] = array
        elif name.rpartition("/")[2] in ITERATIONS and array.dtype.kind == "i":
            taken = int(array)
        else:
            weights[name] = array
    return _named("an optimizer of Keras 2", weights, states, taken)


def _of_tensorflow1(arrays: Mapping[str, np.ndarray]) -> Saved:
    """TensorFlow 1: ``kernel/Adam`` and ``kernel/Adam_1`` beside ``kernel``."""
    states: dict[str, dict[str, np.ndarray]] = {}
    weights = {}
    for name, array in arrays.items():
        variable, _, slot = name.rpartition("/")
        if variable in arrays and arrays[variable].shape == array.shape:
            states.setdefault(variable, {})[slot] = array
        else:
            weights[name] = array
    return _named("an optimizer of TensorFlow 1", weights, states, None)


def _named(
    native: str, weights: Mapping[str, np.ndarray], states: Mapping[str, Any], taken: int | None
) -> Saved:
    """A checkpoint that names its states."""
    form = "TensorFlow's checkpoint"
    if not states:
        return Saved(format=form, weights=weights, remarks=("no optimizer was saved",))
    tensors = [
        SavedTensor(label=name, state=state, t=taken) for name, state in sorted(states.items())
    ]
    optimizer = SavedOptimizer(native=native, groups=(), tensors=tuple(tensors), taken=taken)
    return Saved(format=form, weights=weights, optimizers=(optimizer,), remarks=_powers(weights))


def _powers(weights: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """TensorFlow 1 counts steps by ``beta2_power``, which is beta2^(n + 1) after n steps."""
    power = weights.get("beta2_power")
    if power is None or not 0 < float(power) < 1:
        return ()
    beta2 = dialects.keras.read("Adam").to_dict()["beta2"]
    count = np.log(float(power)) / np.log(beta2) - 1
    return (f"beta2_power is {float(power):g}: {count:.1f} steps, if beta2 is {beta2}",)
