"""The update rules, each written once, for any array library. In reading order: from plain to adaptive.

>>> from samestep.reference import Adam, dialects, follow
>>> dialects.pytorch.read("Adam", lr=0.01)
Adam(lr=0.01)
"""

import importlib
from types import ModuleType

from . import dialects
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
from .rule import Buffer, Decay, Epsilon, Measure, Reach, Rule, follow
from .schedulefree import ScheduleFree
from .sgd import SGD

RULES: tuple[type[Rule], ...] = (
    SGD, ASGD, Rprop, Adagrad, FTRL, Adadelta, RMSprop, Adam, Adamax, NAdam, RAdam, ScheduleFree, Lion,
    LAMB, Adafactor, Muon,
)  # fmt: skip

__all__ = [
    "ASGD", "FTRL", "LAMB", "RULES", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "Lion", "Muon",
    "NAdam", "RAdam", "RMSprop", "Rprop", "ScheduleFree",
    "Buffer", "Decay", "Epsilon", "Measure", "Reach", "Rule", "parts", "dialects", "follow",
]  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    """``parts`` is imported when it is first asked for: most users have no need of it."""
    if name == "parts":
        return importlib.import_module(f"{__name__}.parts")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
