"""What to use in place of a call that a dialect does not have, and how it is found."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from samestep.reference.adam import Adam
from samestep.reference.rule import Decay, Epsilon, Rule

from .call import Call, Remedy

if TYPE_CHECKING:
    from .dialect import Dialect

MOST = 3  # workarounds that one remedy may need


class Workaround(NamedTuple):
    """What a user can do beside a call, so that a dialect can take the steps of further rules.

    It is for rules of which ``applies(rule)`` is true. ``change(rule)`` is the rule that the call
    then means. ``beside`` completes the call, such as "and negate the loss"; ``each_step`` is code
    that runs before each step; ``condition`` says when the steps are the rule's. The texts may
    contain the rule's fields, such as ``{epsilon}``, and ``{half_decay}``, half of its weight
    decay.
    """

    applies: Callable[[Any], Any]
    change: Callable[[Any], Rule]
    beside: str = ""
    each_step: str = ""
    condition: str = ""

    def done(self, rule: Rule, remedy: Remedy) -> Remedy:
        """The remedy with what this workaround asks for added to it."""
        values = {**rule.to_dict(), "half_decay": rule.weight_decay / 2}
        return dataclasses.replace(
            remedy,
            beside=_joined(" ", remedy.beside, self.beside.format(**values)),
            each_step=_joined("; ", remedy.each_step, self.each_step.format(**values)),
            condition=_joined(" and ", remedy.condition, self.condition.format(**values)),
        )


NEGATED_LOSS = Workaround(
    lambda rule: rule.maximize,
    lambda rule: rule.replace(maximize=False),
    beside="and negate the loss",
)


def epsilon_of_the_step(code: str) -> Workaround:
    """Adam with epsilon after the bias correction, by another epsilon before it at each step.

    ``code`` sets the optimizer's epsilon; ``{value}`` in it is the epsilon of step t.
    """
    value = "{epsilon} * (1 - {beta2}**t) ** 0.5"
    return Workaround(
        lambda rule: isinstance(rule, Adam) and rule.epsilon_at is Epsilon.OUTSIDE,
        lambda rule: rule.replace(epsilon_at=Epsilon.HAT),
        each_step=code.replace("{value}", value),
    )


def regularizer(library: str) -> Workaround:
    """Coupled weight decay as a penalty of ``library.regularizers``, whose gradient is 2 l2 theta.

    Muon's Adam has weight decay of its own, so it is left out.
    """
    return Workaround(
        lambda rule: (
            rule.weight_decay
            and rule.decay is Decay.COUPLED
            and "adam_weight_decay" not in rule.names()
        ),
        lambda rule: rule.replace(weight_decay=0.0),
        beside=f"with the L2 regularizer {library}.regularizers.L2({{half_decay}}) on each weight",
    )


def find(rule: Rule, dialect: "Dialect") -> list[Remedy]:
    """What takes the steps of a rule that the dialect cannot express: ours, and perhaps a call.

    The call needs as few workarounds as possible.
    """
    ours = Remedy(dialect.ours.format(rule=repr(rule)))
    for count in range(1, MOST + 1):
        for workarounds in itertools.permutations(dialect.workarounds, count):
            if remedy := _by_call(rule, dialect, workarounds):
                return [ours, remedy]
    return [ours]


def _by_call(rule: Rule, dialect: "Dialect", workarounds: Sequence[Workaround]) -> Remedy | None:
    """The remedy by a call and all of these workarounds; None if they do not lead to a call."""
    changed, remedy = rule, Remedy("")
    for workaround in workarounds:
        if not workaround.applies(changed):
            return None
        remedy = workaround.done(changed, remedy)
        changed = workaround.change(changed)
    call = dialect.express(changed)
    return None if call is None else _with_call(remedy, dialect.name, call)


def _with_call(remedy: Remedy, dialect: str, call: Call) -> Remedy:
    """The remedy that uses the call, with the call's own code for each step, or its condition."""
    plain = dataclasses.replace(call, condition="", each_step="")
    condition = "" if call.each_step else call.condition
    return dataclasses.replace(
        remedy,
        use=f"{dialect}:{plain}",
        each_step=_joined("; ", remedy.each_step, call.each_step),
        condition=_joined(" and ", remedy.condition, condition),
    )


def _joined(separator: str, *texts: str) -> str:
    return separator.join(_given(texts))


def _given(texts: Sequence[str]) -> Iterator[str]:
    return (text for text in texts if text)
