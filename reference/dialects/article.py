"""How the article that the experiment comes from writes its rule.

The article is about adaptive learning rates in Python. It gives one rule, Adagrad, as ``theta - lr
* g / sqrt(G + eps)`` with G the sum of squared gradients, and runs it with ``lr`` 0.01. It names no
value for eps; 1e-8 is this project's choice.
"""

from typing import Any

from samestep.reference.adagrad import Adagrad
from samestep.reference.rule import Epsilon, Rule

from .call import Call, Native
from .dialect import Dialect
from .remedy import NEGATED_LOSS

NATIVES = {
    "Adagrad": Native(
        Adagrad,
        arguments={"lr": "lr", "eps": "epsilon"},
        defaults={"lr": 1e-2, "eps": 1e-8},
        fixed={"epsilon_at": Epsilon.INSIDE, "initial_accumulator": 0.0},
        state={"G": "G"},
    ),
}  # fmt: skip


LACKING = dict.fromkeys(
    (
        *("SGD", "ASGD", "Rprop", "FTRL", "Adadelta", "RMSprop", "Adam", "Adamax", "NAdam"),
        *("RAdam", "ScheduleFree", "Lion", "LAMB", "Adafactor", "Muon"),
    ),
    "the article defines Adagrad alone",
)


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the article means by ``<name>(**arguments)``; ValueError for unknown ones."""
    native = article.find(name)
    return native.rule(**native.fields(native.complete(article.title(name), arguments)))


def express(rule: Rule) -> Call | None:
    """The article's call for the rule in exact arithmetic; None if it has none."""
    name = article.native_for(rule)
    return None if name is None else Call(name, NATIVES[name].spell(rule))


article = Dialect(
    name="article",
    prefix="the article",
    natives=NATIVES,
    read=read,
    express=express,
    ours="{rule} itself, which other dialects may have",
    workarounds=[NEGATED_LOSS],
    lacking=LACKING,
)
