"""The update rules, each written once, for any array library. In reading order: from plain to adaptive.

>>> from reference import Adam, dialects, follow
>>> dialects.pytorch.read("Adam", lr=0.01)
Adam(lr=0.01)
"""

from . import around, dialects
from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .rmsprop import RMSprop
from .rule import Buffer, Decay, Epsilon, Rule, follow
from .sgd import SGD

RULES: tuple[type[Rule], ...] = (SGD, Adagrad, Adadelta, RMSprop, Adam)

__all__ = [
    "RULES", "SGD", "Adadelta", "Adagrad", "Adam", "RMSprop",
    "Buffer", "Decay", "Epsilon", "Rule", "around", "dialects", "follow",
]  # fmt: skip
