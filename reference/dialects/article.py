"""How the article that the experiment comes from writes its rule.

The article is about adaptive learning rates in Python. It gives one rule, Adagrad, as ``theta - lr
* g / sqrt(G + eps)`` with G the sum of squared gradients, and runs it with ``lr`` 0.01. It names no
value for eps; 1e-8 is this project's choice.
"""

from typing import Any

from samestep.reference.adagrad import Adagrad
from samestep.reference.rule import Epsilon, Rule

from .call import Call, Inexpressible, Native
from .dialect import Dialect

NATIVES = {
    "Adagrad": Native(
        Adagrad,
        arguments={"lr": "lr", "eps": "epsilon"},
        defaults={"lr": 1e-2, "eps": 1e-8},
        fixed={"epsilon_at": Epsilon.INSIDE, "initial_accumulator": 0.0},
        state={"G": "G"},
    ),
}  # fmt: skip
INSTEAD = "dialects.pytorch or dialects.keras"


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the article means by ``<name>(**arguments)``; ValueError for unknown ones."""
    native = article.find(name)
    return native.rule(**native.fields(native.complete(article.title(name), arguments)))


def spell(rule: Rule) -> Call:
    """The article's call for the rule (exact arithmetic); Inexpressible if it has none."""
    name = type(rule).__name__
    native = NATIVES.get(name)
    if native is None:
        raise Inexpressible(repr(rule), "the article defines Adagrad alone", INSTEAD)
    if differences := native.differences(rule):
        why = f"its Adagrad leaves no choice of {', '.join(differences)}"
        raise Inexpressible(f"{rule!r} in the article", why, INSTEAD)
    return Call(name, native.spell(rule))


article = Dialect(name="article", prefix="the article", natives=NATIVES, read=read, spell=spell)
