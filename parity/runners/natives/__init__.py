"""Where the natives' runs come from: a module a dialect, each with the same three names.

``NEEDS`` are the modules that must be installed; ``TITLE`` is what the report calls the natives; ``kinds(name)`` the
implementations or modes of one native; and ``run(call, kind, dtype, trial)`` says where it goes, (steps, n).
"""

import importlib
import importlib.util
from types import ModuleType

SPOKEN = ("pytorch", "keras", "tf_keras", "tensorflow1", "optax", "onnx")  # the dialects that have natives


def of(dialect: str) -> ModuleType:
    """The module of a dialect's natives."""
    return importlib.import_module(f".{dialect}_natives", __name__)


def missing(dialect: str) -> str | None:
    """The first module that the dialect's natives need and that is not installed; None if all are."""
    return next((name for name in of(dialect).NEEDS if importlib.util.find_spec(name) is None), None)
