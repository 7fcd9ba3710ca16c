"""What makes two optimizers equal: the call of B's dialect that means A's rule, or our optimizer
that follows it.
"""

from typing import Any

from samestep.parity.measure import limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.verdict import judge
from samestep.parity.runners.specs import Kind
from samestep.reference import Rule, dialects
from samestep.reference.dialects import Inexpressible

from .comparison import Comparison, Side

DROP_IN = {
    "pytorch": "samestep.frameworks.pytorch.Optimizer(params, {rule!r})",
    "keras": "samestep.frameworks.tensorflow.Optimizer({rule!r})",
}


def find(comparison: Comparison) -> list[str]:
    """The remedies, one a line: what to write in place of B so that it follows A's rule; of A if
    only B has a rule.
    """
    rule = comparison.rule
    if rule is None:
        return ["none: neither says which rule it follows"]
    replaced = comparison.b if comparison.a.rule else comparison.a
    names = _dialects_of(replaced)
    lines = [
        f"in place of {replaced.letter}, {_call_for(comparison, rule, name)}" for name in names
    ]
    if replaced.spec.kind in (Kind.NATIVE, Kind.FACTORY) and rule == replaced.rule:
        lines = []  # its call means the rule already, and it does not follow it
    fitting = [name for name in names if name in DROP_IN] or list(DROP_IN)
    also = "or in any case" if lines else f"in place of {replaced.letter},"
    return lines + [f"{also} {DROP_IN[name].format(rule=rule)}" for name in fitting]


def _dialects_of(side: Side) -> list[str]:
    """The dialects in which a remedy for this side is written."""
    if side.spec.dialect in dialects.DIALECTS:
        return [side.spec.dialect]
    home = {"tensorflow": "keras"}.get(side.result.home, side.result.home)
    return [home] if home in DROP_IN else list(DROP_IN)


def _call_for(comparison: Comparison, rule: Rule, name: str) -> str:
    """The dialect's call that means the rule, tried on the trial; or why there is none and what
    comes near.
    """
    dialect: Any = dialects.find(name)
    try:
        call = dialect.spell(rule)
    except Inexpressible as refusal:
        setting = f"; exact with, before step t: {refusal.each_step}" if refusal.each_step else ""
        near = dialects.relation.nearest(rule, dialect)
        nearest = f"; the nearest is {name}:{near}" if near else ""
        return f"{name} has no call for it: {refusal.why}{nearest}{setting}"
    rule_of_call: Rule = dialect.read(call.name, **call.arguments)
    return f"{name}:{call}{_outcome(comparison, rule, rule_of_call)}"


def _outcome(comparison: Comparison, rule: Rule, rule_of_call: Rule) -> str:
    """What came of trying the call's rule against the rule."""
    trial = comparison.trial
    dtype = comparison.dtype
    bounds = limits.between_rules(rule, rule_of_call, trial, dtype)
    verdict = judge(
        trial, run_rule(rule, trial, dtype), run_rule(rule_of_call, trial, dtype), bounds
    )
    if verdict.holds:
        return " (tried on these gradients: equal)"
    return " (tried on these gradients: not equal while the learning rate changes)"
