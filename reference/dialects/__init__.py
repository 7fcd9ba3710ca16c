"""Dialects: how frameworks, papers and an article write the rules.

>>> from samestep.reference import dialects
>>> rule = dialects.keras.read("Adagrad", learning_rate=0.01, epsilon=0.025)
>>> str(dialects.pytorch.spell(rule))
'Adagrad(lr=0.01, initial_accumulator_value=0.125, eps=0.0)'

Each module defines the value of its own name. ``dialects.keras`` is that value, not the module.
"""

from samestep.reference.rule import Rule

from . import parts, relation
from .article import article
from .call import Call, Inexpressible, Native, parse
from .dialect import Dialect
from .keras import keras
from .onnx import onnx
from .optax import optax
from .paper import paper
from .pytorch import pytorch
from .relation import Kind, Relation, relate
from .tensorflow1 import tensorflow1
from .tf_keras import tf_keras

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (pytorch, keras, tf_keras, tensorflow1, optax, onnx, paper, article)
}


def find(name: str) -> Dialect:
    """The dialect of that name; ValueError lists the names there are."""
    if name not in DIALECTS:
        raise ValueError(f"there is no dialect {name!r}; there are: {', '.join(DIALECTS)}")
    return DIALECTS[name]


def read(text: str) -> Rule:
    """The rule that a call as text means, ``read("keras:Adam(learning_rate=0.001)")``.

    ValueError for any mistake in the text; Inexpressible for a call that no rule here describes.
    """
    dialect, name, arguments = parse(text)
    return find(dialect).read(name, **arguments)


__all__ = [
    "DIALECTS", "Call", "Dialect", "Inexpressible", "Kind", "Native", "Relation", "article", "find",
    "keras", "onnx", "optax", "paper", "parse", "parts", "pytorch", "read", "relate", "relation",
    "tensorflow1", "tf_keras",
]  # fmt: skip
