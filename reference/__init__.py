"""The update rules, each written once, for any array library.

``RULES`` lists them in reading order, from plain to adaptive.

>>> from samestep.reference import Adam, dialects, follow
>>> dialects.pytorch.read("Adam", lr=0.01)
Adam(lr=0.01)
"""

from . import dialects, parts
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .asgd import ASGD
from .ftrl import FTRL
from .lamb import LAMB
from .lion import Lion
from .muon import Muon
from .nadam import NAdam
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .rule import Buffer, Decay, Epsilon, Rule, ShapeScale, SizeMeasuredAt, follow
from .schedulefree import ScheduleFree
from .sgd import SGD

RULES: tuple[type[Rule], ...] = (
    SGD, ASGD, Rprop, Adagrad, FTRL, Adadelta, RMSprop, Adam, Adamax, NAdam, RAdam, ScheduleFree,
    Lion, LAMB, Adafactor, Muon,
)  # fmt: skip

__all__ = [
    "ASGD",
    "FTRL",
    "LAMB",
    "RULES",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "Adamax",
    "Buffer",
    "Decay",
    "Epsilon",
    "Lion",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Rule",
    "ScheduleFree",
    "ShapeScale",
    "SizeMeasuredAt",
    "dialects",
    "follow",
    "parts",
]
