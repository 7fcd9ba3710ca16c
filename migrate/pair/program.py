"""The user's file: models, batch, loss and optimizers of a pair.

The file is imported as Python, as any test file is. Names that it may have: ``torch_model``,
``keras_model``, ``batch``, ``loss``, ``optimizers``, ``clip``, ``convert`` and ``map``. The words
``optimizer`` and ``losses`` are read, too, since a file of one side has one of each.
"""

import copy
import importlib
import importlib.util
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from samestep.reference.parts import Schedule

from . import losses
from .record import leaves
from .shared import Batch, PairError, users_code

SIDES = ("pytorch", "keras")
FACTORIES = {"pytorch": "torch_model", "keras": "keras_model"}
SEED = 0


class Program:
    """What the user wrote, read for one side at a time. PairError says what is missing."""

    def __init__(self, values: dict[str, Any], origin: str) -> None:
        self.values = values
        self.origin = origin

    def has(self, name: str) -> bool:
        """True if the file has the name and it is not None."""
        return self.values.get(name) is not None

    def model(self, side: str) -> Any:
        """The side's model, made with all random generators at the seed."""
        name = FACTORIES[side]
        factory = self.values.get(name)
        if factory is None:
            raise PairError(f"{self.origin} must have a function {name}() that returns the model")
        seed_everything()
        with users_code(f"{name}()"):
            model = factory() if _is_factory(factory) else _copied(factory, side)
        kind = {"pytorch": "torch.nn.Module", "keras": "keras.Model"}[side]
        known = "named_parameters" if side == "pytorch" else "trainable_variables"
        fits = hasattr(type(model), known)  # of the class: a model of tf_keras may not be built yet
        if not fits:
            got = type(model)
            raise PairError(
                f"{name}() of {self.origin} must return a {kind}, got "
                f"{got.__module__.split('.')[0]}'s {got.__name__}: {str(model)[:60]}"
            )
        return model

    def batch(self, side: str) -> Batch:
        """The batch as the side has it: arrays, or lists or dicts of them."""
        given = self.values.get("batch")
        if given is None:
            raise PairError(
                f"{self.origin} must have a function batch() that returns inputs and targets"
            )
        seed_everything()
        with users_code("batch()"):
            value = given() if callable(given) else given
            if self.is_batch_of_sides(value):
                value = value[side]
            value = _first(value)
        return as_batch(value)

    @staticmethod
    def is_batch_of_sides(value: Any) -> bool:
        """True for a dict with one batch a side."""
        return isinstance(value, dict) and set(value) == set(SIDES)

    def has_own_batch(self, side: str) -> bool:
        """True if ``batch()`` gives one batch a side."""
        given = self.values.get("batch")
        seed_everything()
        return self.is_batch_of_sides(given() if callable(given) else given)

    def of_side(self, side: str, *names: str) -> Any:
        """The entry of a side under the first of the names that the file has.

        A dict or a pair has one entry a side, PyTorch first; anything else is meant for both.
        """
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, dict) and set(value) <= set(SIDES):
                return value.get(side)
            if isinstance(value, tuple | list) and len(value) == 2 and not _is_scheduled(value):
                return value[SIDES.index(side)]
            return value
        return None

    def loss(self, side: str, targets: Any) -> tuple[Callable[..., Any], str]:
        """The side's loss as a function, and its name."""
        value = self.of_side(side, "loss", "losses")
        if value is None:
            kinds = {array.dtype.kind for array in leaves(targets)}
            value = "mse" if kinds == {"f"} else "cross_entropy"
        if isinstance(value, str):
            if side == "keras" and value not in losses.NAMES and value not in losses.ALIASES:
                value = _keras_loss(value)
            else:
                make = losses.in_pytorch if side == "pytorch" else losses.in_keras
                return make(value), value
        if isinstance(value, type):
            value = value()
        if not callable(value):
            raise PairError(
                f"loss of {self.origin} must be a name or a pair of functions, got {value!r}"
            )
        return value, getattr(value, "__name__", type(value).__name__)

    def optimizer(self, side: str) -> Any:
        """The side's optimizer as the user wrote it; None if there is none."""
        return self.of_side(side, "optimizers", "optimizer")


def read(name: str) -> Program:
    """The program of a file ``FILE.py`` or of a module; PairError if it cannot be imported."""
    path = Path(name)
    if path.suffix == ".py":
        if not path.is_file():
            raise PairError(f"{name} must be a Python file, but there is none")
        return Program(vars(_import_file(path)), path.name)
    _search(Path.cwd())
    with users_code(f"the import of {name}"):
        return Program(vars(importlib.import_module(name)), name)


def _is_scheduled(pair: Any) -> bool:
    """True for one optimizer with its schedule, in a file of one side."""
    return isinstance(pair[1], Schedule)


def _search(folder: Path) -> None:
    """Look for the user's modules in this folder first, also when their functions import later."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _search(path.resolve().parent)
    sys.modules.setdefault(path.stem, module)
    with users_code(f"the import of {path.name}"):
        spec.loader.exec_module(module)
    return module


def seed_everything() -> None:
    """Put every random generator that is loaded to the seed, so that both sides see one batch."""
    random.seed(SEED)
    np.random.seed(SEED)  # the user's code may use it
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    if torch is not None:
        torch.manual_seed(SEED)
    if tensorflow is not None:
        tensorflow.random.set_seed(SEED)


def _is_factory(value: Any) -> bool:
    """True for a function or class; False for a model, which can be called as well."""
    return isinstance(value, type) or (
        not hasattr(value, "parameters") and not hasattr(value, "trainable_variables")
    )


def _copied(model: Any, side: str) -> Any:
    """A copy of a PyTorch model, whose dtype will change; Keras' model itself."""
    return copy.deepcopy(model) if side == "pytorch" else model


def _keras_loss(name: str) -> Any:
    import keras

    return keras.losses.get(name)


def _first(value: Any) -> Any:
    """The first batch of a DataLoader or tf.data.Dataset; anything else as it is."""
    if isinstance(value, tuple | list | dict) or hasattr(value, "shape"):
        return value
    return next(iter(value))


def as_batch(value: Any) -> Batch:
    """Inputs, targets and perhaps weights of samples, as arrays."""
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        raise PairError(
            "batch() must return (inputs, targets) or (inputs, targets, weights of samples), got "
            f"{type(value).__name__}"
            + (f" of {len(value)} entries" if hasattr(value, "__len__") else "")
        )
    return Batch(*(_arrays(entry) for entry in value))


def _arrays(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _arrays(entry) for key, entry in tree.items()}
    if isinstance(tree, tuple) or (isinstance(tree, list) and tree and hasattr(tree[0], "shape")):
        return [_arrays(entry) for entry in tree]
    if tree is None:
        return None
    if hasattr(tree, "detach"):
        tree = tree.detach().cpu()
    array = np.asarray(tree)
    if array.dtype.kind not in "fiub":
        raise PairError(f"batch() must return arrays of numbers, got dtype {array.dtype}")
    return array
