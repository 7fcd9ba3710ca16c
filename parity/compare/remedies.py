"""What makes two optimizers equal: the call of a side's dialect that means the rule of both, or our
optimizer that follows it.

Everything that is printed here was tried: its steps are those that it is to have.
"""

from typing import Any

import numpy as np

from samestep.parity.measure import limits, streams
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import judge
from samestep.parity.runners.specs import Kind
from samestep.reference import Rule, dialects
from samestep.reference.dialects import Inexpressible

from .causes import Findings
from .comparison import Comparison, Side

DROP_IN = {
    "pytorch": "samestep.frameworks.pytorch.Optimizer(params, {rule!r})",
    "keras": "samestep.frameworks.tensorflow.Optimizer({rule!r})",
}


def find(comparison: Comparison, findings: Findings) -> list[str]:
    """The remedies, one a line: what to write in place of a side that strays from its rule, or of B
    where the two follow different rules.
    """
    rule = findings.rule_a
    if rule is None or findings.rule_b is None:
        return []
    a, b = comparison.sides
    if findings.strays_from_rule(b) and not findings.strays_from_rule(a):
        replaced = [b]
    elif findings.strays_from_rule(a) and not findings.strays_from_rule(b):
        rule = findings.rule_b
        replaced = [a]
    elif findings.strays:
        replaced = [a, b]
    else:
        replaced = [b]
    lines = []
    for side in replaced:
        goal = _goal(comparison, replaced, rule)
        lines += _Trial(comparison, rule, goal).lines(side)
        if lines and _is_finite(side.trajectory) and not _is_finite(goal):
            lines.append(
                f"but then it leaves the numbers as well: on these gradients {rule!r} divides by "
                f"zero or overflows, and {side.letter} does not"
            )
    return lines


def _is_finite(trajectory: Trajectory) -> bool:
    return all(bool(np.isfinite(thetas).all()) for thetas in trajectory.thetas.values())


def _goal(comparison: Comparison, replaced: list[Side], rule: Rule) -> Trajectory:
    """The trajectory that a remedy must have: that of the side that stays, else the rule's own."""
    for side in comparison.sides:
        if side not in replaced:
            return side.trajectory
    return run_rule(rule, comparison.trial, comparison.dtype)


class _Trial:
    """Tries what may stand in place of a side."""

    def __init__(self, comparison: Comparison, rule: Rule, goal: Trajectory) -> None:
        self.comparison = comparison
        self.rule = rule
        self.goal = goal

    def lines(self, side: Side) -> list[str]:
        """What may stand in place of a side, and takes the steps of the goal."""
        names = _dialects_of(side)
        is_the_call = side.spec.kind is Kind.NATIVE and repr(self.rule) == repr(side.rule)
        calls = [] if is_the_call else [self._call(name) for name in names]
        lines = [f"in place of {side.letter}, {call}" for call in calls if call]
        fitting = [name for name in names if name in DROP_IN] or list(DROP_IN)
        if self._takes_the_steps(self.rule):
            also = "or in any case" if lines else f"in place of {side.letter},"
            ours = [DROP_IN[name].format(rule=self.rule) for name in fitting]
            lines += [f"{also} {text}" for text in ours]
        if not is_the_call:
            lines += [reason for name in names if (reason := self._refusal(name))]
        return lines

    def _refusal(self, name: str) -> str:
        """Why the dialect has no call for the rule; empty if it has one."""
        dialect: Any = dialects.find(name)
        try:
            dialect.spell(self.rule)
        except Inexpressible as refusal:
            return f"{name} has no call for it: {refusal.why}"
        return ""

    def _call(self, name: str) -> str:
        """The dialect's call that takes the steps of the goal; empty if there is none."""
        dialect: Any = dialects.find(name)
        try:
            call = dialect.spell(self.rule)
        except Inexpressible:
            return ""
        meaning: Rule = dialect.read(call.name, **call.arguments)
        if not self._takes_the_steps(meaning):
            return ""
        condition = ""
        if not _agree(self.rule, meaning, self._falling(), self.comparison.dtype):
            condition = ", though not while the learning rate changes"
        return f"{name}:{call} (tried on these gradients: equal{condition})"

    def _takes_the_steps(self, rule: Rule) -> bool:
        """True if the rule takes the steps of the goal."""
        trial = self.comparison.trial
        dtype = self.comparison.dtype
        bounds = limits.between_rules(self.rule, rule, trial, dtype)
        return judge(trial, self.goal, run_rule(rule, trial, dtype), bounds).holds

    def _falling(self) -> Trial:
        trial = self.comparison.trial
        return trial.replace(rate_factors=streams.rates(1.0, trial.steps))


def _agree(first: Rule, second: Rule, trial: Trial, dtype: str) -> bool:
    bounds = limits.between_rules(first, second, trial, dtype)
    return judge(trial, run_rule(first, trial, dtype), run_rule(second, trial, dtype), bounds).holds


def _dialects_of(side: Side) -> list[str]:
    """The dialects in which a remedy for this side is written."""
    if side.spec.dialect in dialects.DIALECTS:
        return [side.spec.dialect]
    home = {"tensorflow": "keras"}.get(side.result.home, side.result.home)
    return [home] if home in DROP_IN else list(DROP_IN)
