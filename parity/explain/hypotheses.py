"""The hypotheses: what an optimizer may do instead of the expected steps.

Each can be run, and has its own limits.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from samestep.parity.measure import cases, limits
from samestep.parity.measure.bounded import AnalysedRule, BeforeStep, StepState
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import judge
from samestep.parity.measure.wrong_rules import wrong_rules
from samestep.parity.natives.deviations import DEVIATIONS
from samestep.reference import Rule, dialects

# of a trial; on larger ones the calls of other rules are not tried, they would take minutes
MOST_ELEMENTS = 100_000


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """What an optimizer may do: follow ``rule`` on ``trial``, with ``before`` done before each
    step.

    ``text`` completes the sentence "it takes the steps of ...". ``stage`` is the stage of a step
    that is at fault: "gradient", "state", "update", or empty. ``scalars_in`` is the dtype in which
    coefficients are computed.
    """

    text: str
    stage: str
    rule: Rule
    trial: Trial
    before: BeforeStep | None = None
    scalars_in: str = "float64"

    def run(self, dtype: str) -> Trajectory:
        """The trajectory of the hypothesis; ValueError if it cannot take a step."""
        return run_rule(self.rule, self.trial, dtype, self.before)

    def limits(self, dtype: str) -> Limits:
        """How far rounding can move that trajectory."""
        if self.before is None:
            return limits.of_rule(self.rule, self.trial, dtype, self.scalars_in)
        return limits.of_faulty_rule(
            AnalysedRule(self.rule, dtype, self.scalars_in), self.trial, self.before
        )

    def has_trajectory(self, actual: Trajectory, dtype: str) -> bool:
        """True if ``actual`` is the trajectory of the hypothesis, within its limits."""
        try:
            return judge(self.trial, self.run("float64"), actual, self.limits(dtype)).holds
        except (ValueError, ArithmeticError):  # so wrong that it cannot take the steps
            return False


@dataclasses.dataclass(frozen=True)
class Suspect:
    """The optimizer to be explained: the rule that it should follow, on which trial, in which
    dtype.

    ``step`` (from 1) is the first at which it differs. ``dialect`` is that of a native, else empty.
    """

    rule: Rule
    trial: Trial
    dtype: str
    step: int
    dialect: str = ""


def every(suspect: Suspect) -> Iterator[Hypothesis]:
    """All hypotheses, the likely ones first."""
    yield from known_deviations(suspect)
    yield from faults(suspect)
    yield from other_forms(suspect.rule, suspect.trial)
    yield from planted_mistakes(suspect.rule, suspect.trial)
    if sum(start.size for start in suspect.trial.start.values()) <= MOST_ELEMENTS:
        yield from known_calls(suspect.rule.lr, suspect.trial)


def known_deviations(suspect: Suspect) -> Iterator[Hypothesis]:
    """The deviations that natives are known for in this dtype: those of the suspect's dialect, of
    all if it has none.
    """
    rule = suspect.rule
    for deviation in DEVIATIONS:
        of_dialect = deviation.dialect == suspect.dialect or not suspect.dialect
        if (
            not of_dialect
            or deviation.dtype != suspect.dtype
            or type(rule).__name__ not in deviation.sizes
        ):
            continue
        imitation = deviation.imitation(rule) if deviation.imitation else rule
        if imitation != rule:
            text = (
                f"{rule!r} with a known deviation of {deviation.dialect}: {deviation.cause} "
                f"{deviation.link}"
            )
            yield Hypothesis(
                text.rstrip(), "", imitation, suspect.trial, scalars_in=deviation.scalars_in
            )


def other_forms(rule: Rule, trial: Trial) -> Iterator[Hypothesis]:
    """The rule with one hyperparameter as somebody else has it: another place or kind, another
    dialect's default.
    """
    seen = {rule}
    for name in rule.names():
        for value in (*_choices(rule, name), *default_values(rule, name)):
            changed = None
            # some do not go together, such as nesterov and dampening
            with contextlib.suppress(ValueError):
                changed = rule.replace(**{name: value})
            if changed is None or changed in seen:
                continue
            seen.add(changed)
            expected = getattr(rule, name)
            text = (
                f"{changed!r}, which has {name}={value!r} where {expected!r} is "
                f"expected{spelled(changed)}"
            )
            yield Hypothesis(text, "", changed, trial)


def _choices(rule: Rule, name: str) -> tuple[Any, ...]:
    choices: tuple[Any, ...] = type(rule).__dataclass_fields__[name].metadata.get("choices", ())
    return choices


def default_values(rule: Rule, name: str) -> Iterator[float]:
    """The positive default values that natives of this rule have for the hyperparameter."""
    for dialect in dialects.DIALECTS.values():
        for native in dialect.natives.values():
            if native.rule is not type(rule):
                continue
            for argument, field in native.arguments.items():
                value = native.defaults.get(argument)
                if field == name and isinstance(value, float) and value > 0:
                    yield value


def spelled(rule: Rule) -> str:
    """The call that means the rule, as the end of a sentence; empty if neither PyTorch nor Keras
    has one.
    """
    for name in ("pytorch", "keras"):
        try:
            return f", or {name}:{dialects.find(name).spell(rule)}"
        except dialects.Inexpressible:
            continue
    return ""


def planted_mistakes(rule: Rule, trial: Trial) -> Iterator[Hypothesis]:
    """The rule with each mistake of the table of wrong rules."""
    for name, kind in wrong_rules(type(rule).__name__).items():
        text = f"{rule!r} with this mistake: {name.partition(': ')[2]}"
        yield Hypothesis(text, "", kind(**rule.to_dict()), trial)


def known_calls(lr: float, trial: Trial) -> Iterator[Hypothesis]:
    """Every call that the test suite tries, at this learning rate; of calls with one meaning the
    first.
    """
    calls: dict[Rule, str] = {}
    for call in cases.CALLS:
        calls.setdefault(dialects.read(call).replace(lr=lr), call)
    for rule, call in calls.items():
        yield Hypothesis(f"{rule!r}, as in {call}", "", rule, trial)


def faults(suspect: Suspect) -> Iterator[Hypothesis]:
    """What may go wrong around a right rule: late gradients, steps left out, state that is lost."""
    rule = suspect.rule
    for fault, stage, trial in _changed_trials(suspect.trial, suspect.step - 1):
        yield Hypothesis(_except(rule, fault), stage, rule, trial)
    for fault, stage, before in _state_faults(rule, suspect.trial, suspect.step - 1):
        yield Hypothesis(_except(rule, fault), stage, rule, suspect.trial, before)
    turned = rule.replace(maximize=not rule.maximize)
    yield Hypothesis(
        _except(rule, "takes the gradient with the other sign"), "gradient", turned, suspect.trial
    )


def _except(rule: Rule, fault: str) -> str:
    return f"{rule!r}, except that it {fault}"


def _changed_trials(trial: Trial, at: int) -> Iterator[tuple[str, str, Trial]]:
    """Other gradients, or other steps, than the trial has; ``at`` is the step at fault, from 0."""
    late = _with_gradients(trial, lambda step: max(step - 1, 0))
    before = "takes at each step the gradient of the step before"
    yield (
        f"{before}, and nothing at the first",
        "gradient",
        late.replace(present=_without_step(trial, 0)),
    )
    yield f"{before}, and at first the present one", "gradient", late
    if at:
        number = at + 1
        again = _with_gradients(trial, lambda step: step - 1 if step == at else step)
        for_ever = _with_gradients(trial, lambda step: min(step, at - 1))
        one_behind = _with_gradients(trial, lambda step: step - 1 if step >= at else step)
        yield f"takes the gradient of step {at} again at step {number}", "gradient", again
        yield (
            f"takes the gradient of step {at} at every step from {number} on",
            "gradient",
            for_ever,
        )
        yield (
            f"takes, from step {number} on, the gradient of the step before",
            "gradient",
            one_behind,
        )
    left_out = trial.replace(present=_without_step(trial, at))
    yield f"leaves out step {at + 1}, without counting it", "update", left_out
    if len(set(trial.rate_factors)) > 1:
        constant = trial.replace(rate_factors=np.full(trial.steps, trial.rate_factors[0]))
        yield "does not follow the learning rate when it changes", "update", constant


def _without_step(trial: Trial, at: int) -> dict[str, np.ndarray]:
    """At which steps a tensor has a gradient, if it has none at step ``at``, from 0."""
    return {
        name: present & (np.arange(trial.steps) != at) for name, present in trial.present.items()
    }


def _with_gradients(trial: Trial, which: Callable[[int], int]) -> Trial:
    """The trial with the gradient of step ``which(step)`` at each step, from 0."""
    taken = [which(step) for step in range(trial.steps)]
    return trial.replace(gradients={name: array[taken] for name, array in trial.gradients.items()})


def _state_faults(rule: Rule, trial: Trial, at: int) -> Iterator[tuple[str, str, BeforeStep]]:
    """State and parameters that are not what the step before left; ``at`` is the step at fault,
    from 0.
    """
    number = at + 1
    yield f"leaves out step {number}, but counts it", "update", _restore_previous(at, "theta", "")
    yield f"moves no parameter at step {number}", "update", _restore_previous(at, "theta")
    yield (
        f"keeps nothing of step {number} but where the parameters are",
        "state",
        _restore_previous(at, ""),
    )
    yield (
        f"begins step {number} with new state, its count as well",
        "state",
        _reset_state(at, "", count=True),
    )
    yield f"begins step {number} with new state", "state", _reset_state(at, "")
    for key in _state_keys(rule, trial):
        yield f"begins step {number} with a new {key}", "state", _reset_state(at, key)
        yield f"begins every step with a new {key}", "state", _reset_state(None, key)
        yield (
            f"keeps at step {number} the {key} of the step before",
            "state",
            _restore_previous(at, key),
        )
    yield "begins every step with new state", "state", _reset_state(None, "")
    yield "counts steps from 2", "", _count_from_two


def _state_keys(rule: Rule, trial: Trial) -> list[str]:
    keys: set[str] = set()
    for start in trial.start.values():
        keys |= rule.start(start, np).keys()
    return sorted(keys)


def _count_from_two(past: list[StepState], start: dict[str, Any]) -> StepState:
    return past[-1]._replace(t=past[-1].t + (len(past) == 1))


def _restore_previous(at: int, *what: str) -> BeforeStep:
    """After step ``at``, from 0, restore what was before it: ``theta``, a state by name, or all
    state (no name).
    """

    def before(past: list[StepState], start: dict[str, Any]) -> StepState:
        now = past[-1]
        if len(past) != at + 2:
            return now
        old = past[at]
        state = {
            key: old.state[key] if {"", key} & set(what) else value
            for key, value in now.state.items()
        }
        return StepState(old.theta if "theta" in what else now.theta, state, now.t)

    return before


def _reset_state(at: int | None, name: str, count: bool = False) -> BeforeStep:
    """Before step ``at``, from 0, or before each: state as at the start, one by name or all of it;
    the count, too.
    """

    def before(past: list[StepState], start: dict[str, Any]) -> StepState:
        now = past[-1]
        if at is not None and len(past) != at + 1:
            return now
        state = {
            key: start[key] if name in ("", key) else value for key, value in now.state.items()
        }
        return StepState(now.theta, state, 0 if count else now.t)

    return before
