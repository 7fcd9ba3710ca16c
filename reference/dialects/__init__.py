"""How others write the rules. One module a dialect, the same verbs in each: ``read``, ``spell``, ``state_names``.

>>> from reference import dialects
>>> rule = dialects.keras.read("Adagrad", learning_rate=0.01, epsilon=0.025)
>>> str(dialects.pytorch.spell(rule))
'Adagrad(lr=0.01, initial_accumulator_value=0.125, eps=0.0)'
"""

from types import ModuleType

from ..rule import Rule
from . import around, article, keras, pytorch
from .call import Call, Inexpressible, Native, parse

DIALECTS: dict[str, ModuleType] = {"pytorch": pytorch, "keras": keras, "article": article}


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
    "DIALECTS", "Call", "Inexpressible", "Native", "around", "article", "find", "keras", "parse", "pytorch", "read",
]  # fmt: skip
