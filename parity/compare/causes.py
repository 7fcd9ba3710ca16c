"""Why two optimizers differ: each is compared with the rule it should follow, then their rules are
compared.

Where a side does not follow its rule, hypotheses are tried (``parity.explain``). Where the two
rules differ, the fields of A's rule are put into B's, one at a time and then together, until B's
rule has A's trajectory. What does not explain the whole distance is no cause.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from samestep.parity.explain.explanation import Explanation, explain, known_rule
from samestep.parity.explain.observed import Observed
from samestep.parity.explain.suspect import Suspect
from samestep.parity.measure import limits
from samestep.parity.measure.disturbance import Job
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import judge
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.parity.runners import LIBRARIES
from samestep.parity.runners.specs import Kind
from samestep.reference import Rule

from .comparison import Comparison, Run, Side

MOST_FIELDS = 4  # fields that are tried together; beyond them, all that differ


@dataclasses.dataclass(frozen=True)
class Cause:
    """What was tried and what came of it, in a sentence. ``explains`` is true if it explains the
    whole difference.

    ``stage`` is the stage of a step that it accuses, empty if it accuses none.
    """

    text: str
    explains: bool
    stage: str = ""


@dataclasses.dataclass(frozen=True)
class Stray:
    """A side that does not take the steps of the rule that it should follow, and what explains
    that, if anything does.
    """

    side: Side
    rule: Rule
    observed: Observed
    explanation: Explanation | None


@dataclasses.dataclass(frozen=True)
class Findings:
    """Which rule each side should follow, None if nobody knows, and which sides stray from it."""

    rule_a: Rule | None
    rule_b: Rule | None
    strays: list[Stray]
    causes: list[Cause]

    def strays_from_rule(self, side: Side) -> bool:
        """True if the side does not follow the rule that it should follow."""
        return any(stray.side is side for stray in self.strays)


def find(comparison: Comparison, run: Run) -> Findings:
    """The rules of both sides, and the cause of their difference; without one, what was tried."""
    rule_a, rule_b = _rules(comparison)
    if rule_a is None or rule_b is None:
        text = (
            "not known: neither A nor B says which rule it follows, and neither takes the steps "
            "of a known call"
        )
        return Findings(None, None, [], [Cause(text, False)])
    strays = []
    for side, rule in zip(comparison.sides, (rule_a, rule_b), strict=True):
        observed = _observed(comparison, side, rule)
        if not judge(observed.trial, observed.expected, observed.actual, observed.limits).holds:
            strays.append(_stray(side, observed, rule, run))
    swaps = []
    if not _rules_agree(comparison, rule_a, rule_b):
        swaps = try_field_swaps(comparison, rule_a, rule_b)
    causes = _together([_cause_of(stray) for stray in strays], swaps)
    return Findings(rule_a, rule_b, strays, causes)


def _rules(comparison: Comparison) -> tuple[Rule | None, Rule | None]:
    """The rule that each side should follow: its own, else that of the other side.

    If neither says which it follows, known calls are tried.
    """
    rule_a = comparison.a.rule
    rule_b = comparison.b.rule
    if rule_a is None and rule_b is None:
        rule_a = _known_rule(comparison, comparison.a)
        rule_b = _known_rule(comparison, comparison.b)
    return rule_a or rule_b, rule_b or rule_a


def _known_rule(comparison: Comparison, side: Side) -> Rule | None:
    """The rule of a known call whose steps the side takes."""
    if side.result.rate is None:
        return None
    other = comparison.b if side is comparison.a else comparison.a
    observed = Observed(
        comparison.trial, comparison.dtype, other.trajectory, comparison.limits, side.trajectory
    )
    return known_rule(observed, side.result.rate, _home(side))


def _observed(comparison: Comparison, side: Side, rule: Rule) -> Observed:
    trial = comparison.trial
    expected = run_rule(rule, trial, comparison.dtype)
    bounds = limits.of_rule(rule, trial, comparison.dtype)
    return Observed(trial, comparison.dtype, expected, bounds, side.trajectory)


def _home(side: Side) -> str:
    """The dialect of the framework in which the side runs; empty for NumPy."""
    return {"tensorflow": "keras", "numpy": ""}.get(side.result.home, side.result.home)


def _stray(side: Side, observed: Observed, rule: Rule, run: Run) -> Stray:
    """A side that strays, with what explains it."""

    def run_alone(trial: Trial) -> Trajectory:
        return run(side.spec, [(trial, Job(observed.dtype))])[0].trajectory

    native = side.spec.kind is Kind.NATIVE
    dialect = side.spec.dialect if native else "no native"
    suspect = Suspect(
        rule, observed.trial, observed.dtype, observed.first_step + 1, dialect, _home(side)
    )
    return Stray(side, rule, observed, explain(observed, suspect, run_alone))


def _rules_agree(comparison: Comparison, rule_a: Rule, rule_b: Rule) -> bool:
    """True if the two rules take the same steps on the trial."""
    trial = comparison.trial
    dtype = comparison.dtype
    bounds = limits.between_rules(rule_a, rule_b, trial, dtype)
    first = run_rule(rule_a, trial, dtype)
    return judge(trial, first, run_rule(rule_b, trial, dtype), bounds).holds


def _cause_of(stray: Stray) -> Cause:
    """The cause that makes a side stray."""
    side = stray.side
    if stray.explanation:
        text = f"{side.letter} takes the steps of {stray.explanation.text}"
        return Cause(text, True, stray.explanation.stage)
    observed = stray.observed
    verdict = judge(observed.trial, observed.expected, observed.actual, observed.limits)
    away = f"is {verdict.distance:.2g} of the path away from"
    if not np.isfinite(verdict.distance):  # one of the two is no finite number
        expected, actual = verdict.values
        away = f"has {actual!r} where {expected!r} follows from"
    text = (
        f"not known: {side.letter} {away} {stray.rule!r}, and nothing that was tried explains the "
        f"whole of that{_known_scripts(side)}"
    )
    return Cause(text, False)


def _known_scripts(side: Side) -> str:
    """The scripts that show recorded deviations of a native, as the end of a sentence."""
    call = side.spec.call
    if call is None:
        return ""
    title = f"{LIBRARIES[side.spec.home].title}.{call.name}"
    scripts = [reproduction.name for reproduction in REPRODUCTIONS if reproduction.native == title]
    return f"; known of this native: samestep reproduce {' '.join(scripts)}" if scripts else ""


def _together(of_sides: list[Cause], of_rules: list[Cause]) -> list[Cause]:
    """Causes that explain the difference together are one cause; if one is missing, none does."""
    causes = [*of_sides, *of_rules]
    if len(causes) < 2 or not all(cause.explains for cause in causes):
        return [cause for cause in causes if not cause.explains] or causes
    stage = next((cause.stage for cause in causes if cause.stage), "")
    return [Cause("; and ".join(cause.text for cause in causes), True, stage)]


def try_field_swaps(comparison: Comparison, rule_a: Rule, rule_b: Rule) -> list[Cause]:
    """Put fields of A's rule into B's: each alone, then the fewest together that give B's rule A's
    trajectory.
    """
    if type(rule_a) is not type(rule_b):
        return [Cause(f"the rules are different: A follows {rule_a!r}, B {rule_b!r}", True)]
    swap = _Swap(comparison, rule_a, rule_b)
    fields = [name for name in rule_a.names() if getattr(rule_a, name) != getattr(rule_b, name)]
    sizes = [*range(1, min(MOST_FIELDS, len(fields)) + 1), len(fields)]
    for size in sizes:
        for names in itertools.combinations(fields, size):
            cause = swap.cause(names)
            if cause:
                return [cause]
    return [Cause(f"the rules are different: A follows {rule_a!r}, B {rule_b!r}", True)]


class _Swap:
    """Puts fields of A's rule into B's, and compares what comes of it with A's rule."""

    def __init__(self, comparison: Comparison, rule_a: Rule, rule_b: Rule) -> None:
        self.comparison = comparison
        self.rule_a = rule_a
        self.rule_b = rule_b
        self.goal: Trajectory = run_rule(rule_a, comparison.trial, comparison.dtype)

    def cause(self, names: Sequence[str]) -> Cause | None:
        """The cause, if B's rule with these fields has A's trajectory."""
        try:
            rule = self.rule_b.replace(**{name: getattr(self.rule_a, name) for name in names})
        except ValueError:
            return None
        trial = self.comparison.trial
        dtype = self.comparison.dtype
        bounds: Limits = limits.between_rules(rule, self.rule_a, trial, dtype)
        if not judge(trial, self.goal, run_rule(rule, trial, dtype), bounds).holds:
            return None
        return Cause(f"{' and '.join(map(self._field, names))} makes B equal to A", True)

    def _field(self, name: str) -> str:
        return f"{name}={getattr(self.rule_a, name)!r} instead of {getattr(self.rule_b, name)!r}"
