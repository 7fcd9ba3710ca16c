"""Why two optimizers differ: each is compared with the rule it should follow, then their rules are
compared.

Where a side does not follow its rule, hypotheses are tried (``parity.explain``). Where both do, the
fields of A's rule are put into B's, one at a time and then together, until B's rule has A's
trajectory.
"""

import dataclasses
import itertools
from collections.abc import Sequence

from samestep.parity.explain import hypotheses
from samestep.parity.explain.explanation import Observed, elements_beyond, explain
from samestep.parity.explain.hypotheses import Suspect
from samestep.parity.measure import limits
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.verdict import judge
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.parity.runners import runner_of
from samestep.parity.runners.specs import Kind
from samestep.reference import Rule

from .comparison import Comparison, Side

MOST_FIELDS = 4  # fields exchanged together; more are no cause but another rule


@dataclasses.dataclass(frozen=True)
class Cause:
    """What was tried and what came of it, in a sentence. ``explains`` is true if it explains the
    whole difference.

    ``stage`` is the stage of a step that it accuses, empty if it accuses none.
    """

    text: str
    explains: bool
    stage: str = ""


def find(comparison: Comparison, step: int) -> list[Cause]:
    """The causes of a difference that begins at ``step``, the one that explains it last; without
    one, what was tried.
    """
    rule_a = comparison.a.rule
    rule_b = comparison.b.rule
    if rule_a is None and rule_b is None:
        return [
            Cause(
                "neither A nor B says which rule it follows, so nothing of theirs can be exchanged",
                False,
            )
        ]
    causes = []
    for side in comparison.sides:
        rule = comparison.expected_rule(side)
        if rule and not _follows_rule(comparison, side, rule):
            causes.append(_explain_deviation(comparison, side, rule, step))
    if rule_a and rule_b and (not causes or rule_a != rule_b):
        causes += try_field_swaps(comparison, rule_a, rule_b)
    return causes


def _follows_rule(comparison: Comparison, side: Side, rule: Rule) -> bool:
    """True if the side's trajectory stays within the rounding limits of the rule's own
    trajectory.
    """
    expected = run_rule(rule, comparison.trial, comparison.dtype)
    bounds = limits.of_rule(rule, comparison.trial, comparison.dtype)
    return judge(comparison.trial, expected, side.trajectory, bounds).holds


def _explain_deviation(comparison: Comparison, side: Side, rule: Rule, step: int) -> Cause:
    """Why a side does not follow the rule: the first hypothesis that has its trajectory."""
    trial = comparison.trial
    dtype = comparison.dtype
    expected = run_rule(rule, trial, dtype)
    bounds = limits.of_rule(rule, trial, dtype)
    beyond = elements_beyond(expected, side.trajectory, bounds)
    first = next((index for index, number in enumerate(beyond, start=1) if number), step)
    native = side.spec.kind is Kind.NATIVE
    suspect = Suspect(rule, trial, dtype, first, side.spec.dialect if native else "no native")
    observed = Observed(trial, dtype, expected, bounds, side.trajectory)
    explanation = explain(observed, hypotheses.every(suspect))
    if explanation and explanation.holds:
        hypothesis = explanation.hypothesis
        return Cause(f"{side.letter} takes the steps of {hypothesis.text}", True, hypothesis.stage)
    distance = judge(trial, expected, side.trajectory, bounds).distance
    text = (
        f"{side.letter} differs from {rule!r} by {distance:.2g} of the path, and nothing that "
        "was tried explains it"
    )
    if explanation:
        text += (
            f"; the nearest is {explanation.hypothesis.text}, {explanation.distance:.2g} of "
            "the path away"
        )
    return Cause(f"{text}{_known_scripts(side)}", False)


def _known_scripts(side: Side) -> str:
    """The scripts that show recorded deviations of a native, as the end of a sentence."""
    call = side.spec.call
    if call is None:
        return ""
    title = f"{runner_of(side.spec.home).TITLE}.{call.name}"
    scripts = [reproduction.name for reproduction in REPRODUCTIONS if reproduction.native == title]
    return f"; known of this native: samestep reproduce {' '.join(scripts)}" if scripts else ""


def try_field_swaps(comparison: Comparison, rule_a: Rule, rule_b: Rule) -> list[Cause]:
    """Put fields of A's rule into B's: each alone, then the fewest together that give B's rule A's
    trajectory.
    """
    if type(rule_a) is not type(rule_b):
        return [Cause(f"the rules are different: A follows {rule_a!r}, B {rule_b!r}", False)]
    swap = _Swap(comparison, rule_a, rule_b)
    fields = [name for name in rule_a.names() if getattr(rule_a, name) != getattr(rule_b, name)]
    tried = [swap.cause([name]) for name in fields]
    single = [cause for cause in tried if cause]
    if any(cause.explains for cause in single):
        return sorted(single, key=lambda cause: cause.explains)
    for size in range(2, min(MOST_FIELDS, len(fields)) + 1):
        for names in itertools.combinations(fields, size):
            together = swap.cause(names)
            if together and together.explains:
                return [*single, together]
    return [
        *single,
        Cause(f"no {MOST_FIELDS} fields of A's rule or fewer make B equal to A", False),
    ]


class _Swap:
    """Puts fields of A's rule into B's, and compares what comes of it with A's rule."""

    def __init__(self, comparison: Comparison, rule_a: Rule, rule_b: Rule) -> None:
        self.comparison = comparison
        self.rule_a = rule_a
        self.rule_b = rule_b
        self.goal: Trajectory = run_rule(rule_a, comparison.trial, comparison.dtype)

    def cause(self, names: Sequence[str]) -> Cause | None:
        """What comes of putting these fields into B's rule; None if it cannot have them, or they
        change nothing.
        """
        try:
            rule = self.rule_b.replace(**{name: getattr(self.rule_a, name) for name in names})
        except ValueError:
            return None
        if repr(rule) == repr(self.rule_b):
            return None
        trial = self.comparison.trial
        dtype = self.comparison.dtype
        bounds: Limits = limits.between_rules(rule, self.rule_a, trial, dtype)
        verdict = judge(trial, self.goal, run_rule(rule, trial, dtype), bounds)
        fields = " and ".join(self._field(name) for name in names)
        outcome = (
            "makes B equal to A"
            if verdict.holds
            else f"leaves a distance of {verdict.distance:.2g}"
        )
        return Cause(f"{fields} {outcome}", verdict.holds)

    def _field(self, name: str) -> str:
        return f"{name}={getattr(self.rule_a, name)!r} instead of {getattr(self.rule_b, name)!r}"
