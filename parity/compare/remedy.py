"""What makes two contestants equal: the call in B's words that means A's rule, or our optimizer that follows it."""

from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult
from samestep.reference import Rule, dialects
from samestep.reference.dialects import Dialect, Inexpressible

from .allowed import holds, of_rule

DROP_IN = {
    "pytorch": "samestep.frameworks.pytorch.Optimizer(params, {rule!r})",
    "keras": "samestep.frameworks.tensorflow.Optimizer({rule!r})",
}


def find(one: tuple[Contestant, RunResult], other: tuple[Contestant, RunResult], trial: Trial, dtype: str) -> list[str]:
    """Each remedy in a line: what to write in place of B so that it follows A's rule; the other way round if A has
    none."""
    (_, a), (b, went) = one, other
    rule = a.rule or went.rule
    if rule is None:
        return ["none: neither says which rule it follows"]
    if not a.rule:
        (b, went), letter = one, "A"
    else:
        letter = "B"
    home = {"tensorflow": "keras"}.get(went.home, went.home)
    spoken = [b.dialect] if b.dialect in dialects.DIALECTS else [home] if home in DROP_IN else list(DROP_IN)
    lines = [f"in place of {letter}, {said(rule, name, trial, dtype)}" for name in spoken]
    if b.kind in ("native", "factory") and rule == went.rule:  # it is what the words say, and does not keep to them
        lines = []
    fitting = [name for name in spoken if name in DROP_IN] or list(DROP_IN)
    also = "or in any case" if lines else f"in place of {letter},"
    return lines + [f"{also} {DROP_IN[name].format(rule=rule)}" for name in fitting]


def said(rule: Rule, name: str, trial: Trial, dtype: str) -> str:
    """The dialect's call that means the rule, tried on the trial; or why there is none and what comes near."""
    dialect = dialects.find(name)
    try:
        call = dialect.spell(rule)
    except Inexpressible as refusal:
        setting = f"; exact with, before step t: {refusal.each_step}" if refusal.each_step else ""
        near = dialects.relation.nearest(rule, dialect)
        nearest = f"; the nearest is {name}:{near}" if near else ""
        return f"{name} has no call for it: {refusal.why}{nearest}{setting}"
    return f"{name}:{call}{_tried(rule, dialect, call.name, call.arguments, trial, dtype)}"


def _tried(rule: Rule, dialect: Dialect, call: str, arguments: dict[str, object], trial: Trial, dtype: str) -> str:
    """What comes of trying the call's rule against the rule."""
    meant = dialect.read(call, **arguments)
    allowed = of_rule(rule, trial, dtype).mean(of_rule(meant, trial, dtype))
    if holds(in_numpy.run(meant, trial, dtype), in_numpy.run(rule, trial, dtype), allowed):
        return " (tried on these gradients: equal)"
    return " (tried on these gradients: not equal while the learning rate changes)"
