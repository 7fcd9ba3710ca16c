"""Explain where an optimizer went instead of the expected trajectory, by trying hypotheses."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial, by_kind
from samestep.parity.measure.verdict import judge, measure_gaps
from samestep.parity.natives.interpretations import Interpretation
from samestep.reference import Rule

from . import estimate, hypotheses
from .fields import rules_of_calls
from .hypothesis import Hypothesis, Unknown
from .observed import Observed
from .suspect import Suspect

LATER = 4  # steps after the first that differs, at which a hypothesis is checked again
MUCH = 4  # times as near must a hypothesis be, for a full check
FEW = 3  # steps on which all known rules are tried
MOST = 0.8  # of the elements that differ

RunAlone = Callable[[Trial], Trajectory]
"""Runs the optimizer again, on another trial in the same dtype."""


class Explanation(NamedTuple):
    """What takes the optimizer's steps.

    ``text`` completes the sentence "it takes the steps of ..."; ``stage`` is the stage of a step
    that is at fault, or empty.
    """

    text: str
    stage: str


def explain(
    observed: Observed, suspect: Suspect, run_alone: RunAlone | None = None
) -> Explanation | None:
    """What explains the whole of the optimizer's trajectory; None if nothing does that was tried.

    ``run_alone`` shows whether the steps are right with one tensor at a time.
    """
    explanation = _by_one(observed, suspect) or _by_two(observed, suspect)
    if explanation:
        return explanation
    if run_alone and len(observed.trial.start) > 1 and _is_right_alone(observed, run_alone):
        text = (
            f"{suspect.rule!r} with one tensor at a time; with several something is shared between "
            "tensors: state, the count of steps, or the step size"
        )
        return Explanation(text, "state")
    return None


def _by_one(observed: Observed, suspect: Suspect) -> Explanation | None:
    """One hypothesis that has the trajectory.

    Where some kinds of shapes are right and others wrong, the wrong ones are explained by
    themselves.
    """
    explanation = _first_that_holds(observed, suspect, hypotheses.known_deviations(suspect))
    if explanation:
        return explanation
    wrong = _wrong_kinds(observed)
    some = 0 < len(wrong) < len(by_kind(observed.trial))
    if some:
        explanation = _first_that_holds(observed, suspect, hypotheses.by_shape(suspect))
    explanation = explanation or _first_that_holds(observed, suspect, hypotheses.every(suspect))
    if some and not explanation:
        explanation = _of_some_shapes(observed, suspect, wrong)
    return explanation


def _by_two(observed: Observed, suspect: Suspect) -> Explanation | None:
    """Two hypotheses that have the trajectory together."""
    return _first_that_holds(observed, suspect, hypotheses.pairs(suspect))


def known_rule(observed: Observed, lr: float, home: str = "") -> Rule | None:
    """The rule of a known call, at this learning rate, whose steps the optimizer takes."""
    begin = observed.first(FEW)
    for rule in rules_of_calls(lr):
        if not _takes_steps_of(rule, begin, home):
            continue
        try:
            against = against_rule(rule, observed)
        except ValueError:  # it cannot take a step on this trial
            continue
        suspect = Suspect(rule, observed.trial, observed.dtype, 1, home=home)
        plain = Hypothesis("", "", rule, observed.trial)
        if _first_that_holds(against, suspect, [plain]) is not None:
            return rule
    return None


def _takes_steps_of(rule: Rule, observed: Observed, home: str) -> bool:
    """True if the optimizer takes the rule's steps, as its framework may carry them out.

    A limit at a step depends on no later step, so a rule that fails on the first fails on all.
    """
    suspect = Suspect(rule, observed.trial, observed.dtype, 1, home=home)
    plain = Hypothesis("", "", rule, observed.trial)
    for interpretation in suspect.interpretations():
        hypothesis = plain.carried_out(interpretation)
        if hypothesis and hypothesis.has_trajectory(observed.actual, observed.dtype):
            return True
    return False


def against_rule(rule: Rule, observed: Observed) -> Observed:
    """The same optimizer, of which the rule's trajectory is expected."""
    expected = run_rule(rule, observed.trial, observed.dtype)
    bounds = limits.of_rule(rule, observed.trial, observed.dtype)
    return dataclasses.replace(observed, expected=expected, limits=bounds)


def explain_by(rules: Sequence[Rule], observed: Observed, home: str = "") -> Explanation | None:
    """What explains an optimizer that may have been meant to follow one of the rules.

    One hypothesis with any of them comes before two with the first. Rules that cannot take a step
    on the trial are passed over.
    """
    cases = []
    for rule in rules:
        try:
            against = against_rule(rule, observed)
        except ValueError:
            continue
        suspect = Suspect(
            rule, observed.trial, observed.dtype, against.first_step + 1, home=home, assumed=True
        )
        cases.append((against, suspect))
    for against, suspect in cases:
        explanation = _by_one(against, suspect)
        if explanation:
            return explanation
    return _by_two(*cases[0]) if cases else None


def _first_that_holds(
    observed: Observed, suspect: Suspect, proposals: Iterable[Hypothesis | Unknown]
) -> Explanation | None:
    """The first hypothesis that has the optimizer's trajectory.

    If its number was estimated, then of all such hypotheses the one with the plainest number, and
    beside it those that mean the same.
    """
    trier = _Trier(observed, suspect.interpretations())
    estimated: list[Hypothesis] = []
    for proposal in proposals:
        if isinstance(proposal, Unknown):
            estimated += trier.estimated(proposal)
        elif not estimated and trier.holds(proposal):
            return Explanation(proposal.sentence(), proposal.stage)
    if not estimated:
        return None
    estimated.sort(key=lambda hypothesis: hypothesis.digits)
    first, *others = estimated
    texts = [first.sentence(), *(each.sentence() for each in others if _same(first, each))]
    return Explanation("; or, with the same steps, ".join(texts), first.stage)


def _same(first: Hypothesis, second: Hypothesis) -> bool:
    """True if two hypotheses have the same trajectory, to within the rounding of float64."""
    bounds = limits.of_rule(first.rule, first.trial, "float64")
    return judge(first.trial, first.trajectory(), second.trajectory(), bounds).holds


class _Trier:
    """Tries hypotheses on what was observed."""

    def __init__(self, observed: Observed, interpretations: list[Interpretation]) -> None:
        self.observed = observed
        self.interpretations = interpretations
        self.step = observed.first_step

    def holds(self, hypothesis: Hypothesis) -> bool:
        """True if the hypothesis has the optimizer's trajectory, with or without a deviation."""
        for interpretation in self.interpretations:
            carried_out = hypothesis.carried_out(interpretation)
            if carried_out is None or not self._comes_nearer(carried_out):
                continue
            if carried_out.has_trajectory(self.observed.actual, self.observed.dtype):
                return True
        return False

    def estimated(self, unknown: Unknown) -> list[Hypothesis]:
        """The hypothesis with the plainest number that has the trajectory, if there is one."""
        for interpretation in self.interpretations:

            def make(
                number: float, trial: Trial, interpretation: Interpretation = interpretation
            ) -> Hypothesis | None:
                hypothesis = unknown.make(number, trial)
                return hypothesis.carried_out(interpretation) if hypothesis else None

            for hypothesis in estimate.hypotheses(Unknown(make, unknown.grid), self.observed):
                if hypothesis.has_trajectory(self.observed.actual, self.observed.dtype):
                    return [hypothesis]
        return []

    def _comes_nearer(self, hypothesis: Hypothesis) -> bool:
        """True if it takes away most of the distance of most elements that are beyond at first, and
        a little later.

        A quick check: only what passes it is tried on the whole trial.
        """
        later = min(self.step + LATER, self.observed.trial.steps - 1)
        return all(
            self._is_nearer_at(step, hypothesis) for step in dict.fromkeys((self.step, later))
        )

    def _is_nearer_at(self, step: int, hypothesis: Hypothesis) -> bool:
        observed = self.observed
        tensors = observed.tensors_beyond(step)
        try:
            thetas = hypothesis.first_steps(step + 1, tensors)
        except (ValueError, ArithmeticError):  # so wrong that it cannot take the steps
            return False
        nearer: list[bool] = []
        for name in tensors:
            actual = observed.actual.thetas[name][step].astype(np.float64)
            expected = observed.expected.thetas[name][step].astype(np.float64)
            bound = observed.limits.thetas[name][step]
            before = measure_gaps(expected, actual, bound)
            after = measure_gaps(thetas[name][-1].astype(np.float64), actual, bound)
            beyond = before.excess > 1
            nearer += (MUCH * after.gap[beyond] <= before.gap[beyond]).tolist()
        return sum(nearer) >= MOST * len(nearer)


def _wrong_kinds(observed: Observed) -> dict[str, list[str]]:
    """The kinds of shapes that go beyond their limits, each with its tensors."""

    def is_wrong(name: str) -> bool:
        return bool((observed.excess(name) > 1).any())

    kinds = by_kind(observed.trial)
    return {kind: names for kind, names in kinds.items() if any(map(is_wrong, names))}


def _of_some_shapes(
    observed: Observed, suspect: Suspect, wrong: dict[str, list[str]]
) -> Explanation | None:
    """What explains the kinds of shapes that are wrong, where others are right."""
    texts = []
    stages = []
    for kind, names in wrong.items():
        part = observed.only(names)
        of_kind = dataclasses.replace(suspect, trial=part.trial, step=part.first_step + 1)
        explanation = _first_that_holds(part, of_kind, hypotheses.of_one_shape(of_kind))
        if explanation is None:
            return None
        texts.append(f"on {kind} of {explanation.text}")
        stages.append(explanation.stage)
    right = ", ".join(kind for kind in by_kind(observed.trial) if kind not in wrong)
    text = f"{suspect.rule!r} on {right}, but {', '.join(texts)}"
    return Explanation(text, stages[0])


def _is_right_alone(observed: Observed, run_alone: RunAlone) -> bool:
    """True if the optimizer takes the expected steps with one tensor at a time."""
    for name in observed.trial.start:
        alone = observed.trial.only([name])
        try:
            actual = run_alone(alone)
        except ValueError:
            return False
        expected = observed.expected
        if not judge(alone, expected, actual, observed.limits).holds:
            return False
    return True
