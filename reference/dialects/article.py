"""The words of the article that the experiment comes from, on adaptive learning rates in Python.

It gives one rule, Adagrad, as ``theta - lr * g / sqrt(G + eps)`` with G the sum of squared gradients, and runs it with
``lr`` 0.01. It names no value for eps; 1e-8 is this project's choice.
"""

from typing import Any

from samestep.reference.adagrad import Adagrad
from samestep.reference.rule import Epsilon, Rule

from .call import Call, Inexpressible, Native, find

NATIVES = {
    "Adagrad": Native(
        Adagrad, {"lr": "lr", "eps": "epsilon"}, {"lr": 1e-2, "eps": 1e-8},
        {"epsilon_at": Epsilon.INSIDE, "initial_accumulator": 0.0}, {"G": "G"},
    ),
}  # fmt: skip


def read(name: str, /, **arguments: Any) -> Rule:
    """The rule that the article means by ``<name>(**arguments)``; ValueError for other names or arguments."""
    native = find(NATIVES, name, "the article")
    values = native.complete(f"the article's {name}", arguments)
    return native.rule(**{native.arguments[k]: v for k, v in values.items()}, **native.fixed)


def spell(rule: Rule) -> Call:
    """The article's words for the rule (exact arithmetic); Inexpressible if it has none."""
    native = NATIVES.get(type(rule).__name__)
    if native is None:
        raise Inexpressible(repr(rule), "the article defines Adagrad alone", "dialects.pytorch or dialects.keras")
    differences = native.differences(rule)
    if differences:
        why = f"its Adagrad leaves no choice of {', '.join(differences)}"
        raise Inexpressible(f"{rule!r} in the article", why, "dialects.pytorch or dialects.keras")
    return Call(type(rule).__name__, native.spell(rule))


def state_names(rule: Rule) -> dict[str, str]:
    """What the article calls each state of the rule."""
    return dict(NATIVES[type(rule).__name__].state)
