"""How others write the rules. One module a dialect, the same verbs in each: ``read``, ``spell``, ``state_names``.

>>> from samestep.reference import dialects
>>> rule = dialects.keras.read("Adagrad", learning_rate=0.01, epsilon=0.025)
>>> str(dialects.pytorch.spell(rule))
'Adagrad(lr=0.01, initial_accumulator_value=0.125, eps=0.0)'
"""

import importlib
from types import ModuleType

from samestep.reference.rule import Rule

from . import article, keras, onnx, optax, paper, pytorch, relation, tensorflow1, tf_keras
from .call import Call, Inexpressible, Native, parse
from .relation import Kind, Relation, relate

DIALECTS: dict[str, ModuleType] = {
    "pytorch": pytorch, "keras": keras, "tf_keras": tf_keras, "tensorflow1": tensorflow1, "optax": optax, "onnx": onnx,
    "paper": paper, "article": article,
}  # fmt: skip


def find(name: str) -> ModuleType:
    """The dialect of that name; ValueError lists the names there are."""
    if name not in DIALECTS:
        raise ValueError(f"there is no dialect {name!r}; there are: {', '.join(DIALECTS)}")
    return DIALECTS[name]


def read(text: str) -> Rule:
    """The rule that a call as text means, ``read("keras:Adam(learning_rate=0.001)")``; ValueError for any mistake."""
    dialect, name, arguments = parse(text)
    return find(dialect).read(name, **arguments)


__all__ = [
    "DIALECTS", "Call", "Inexpressible", "Kind", "Native", "Relation", "parts", "article", "find", "keras", "onnx",
    "optax", "paper", "parse", "pytorch", "read", "relate", "relation", "tensorflow1", "tf_keras",
]  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    """``parts`` is imported when it is first asked for: most users have no need of it."""
    if name == "parts":
        return importlib.import_module(f"{__name__}.parts")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
