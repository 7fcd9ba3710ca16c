"""Dialects: how frameworks, papers and an article write the rules.

>>> from samestep.reference import dialects
>>> rule = dialects.keras.read("Adagrad", learning_rate=0.01, epsilon=0.025)
>>> str(dialects.pytorch.spell(rule))
'Adagrad(lr=0.01, initial_accumulator_value=0.125, eps=0.0)'

Each module defines the value of its own name. ``dialects.keras`` is that value, not the module.
"""

from samestep.reference.near_miss import did_you_mean
from samestep.reference.rule import Rule

from . import parts, relation
from .article import article
from .beside import scheduler_order
from .binding import schedule_order
from .call import Call, Inexpressible, Native
from .dialect import Dialect
from .keras import keras
from .known import DIALECTS, find, unknown
from .libraries import canonical
from .onnx import onnx
from .optax import optax
from .paper import paper
from .pasted import PastedCall, in_one_line, is_misspelled, let_advice, parse, read_call
from .pytorch import pytorch
from .relation import Kind, Relation, relate
from .tensorflow1 import tensorflow1
from .tf_keras import tf_keras
from .translation import Translation, translate
from .values import Variable, evaluate
from .variables import fill, share_rate


def read(text: str) -> Rule:
    """The rule that a call as text means, ``read("keras:Adam(learning_rate=0.001)")``.

    The call may be pasted from a script, ``read("torch.optim.Adam(model.parameters(), lr=1e-3)")``;
    nothing in it is executed. ValueError for any mistake in the text and for a variable whose value
    it does not say; Inexpressible for a call that no rule here describes.
    """
    return read_call(text).rule()


__all__ = [
    "DIALECTS", "Call", "Dialect", "Inexpressible", "Kind", "Native", "PastedCall",
    "Relation", "Translation", "Variable", "article", "canonical", "did_you_mean", "evaluate",
    "fill", "find", "in_one_line", "is_misspelled", "keras", "let_advice", "onnx", "optax", "paper",
    "parse",
    "parts", "pytorch", "read", "read_call", "relate", "relation", "schedule_order",
    "scheduler_order", "share_rate", "tensorflow1", "tf_keras", "translate", "unknown",
]  # fmt: skip
