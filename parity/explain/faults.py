"""Hypotheses about what goes wrong around a right rule: state, counts, rates, decay, sharing."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from samestep.parity.measure.trial import Trial
from samestep.reference import Decay, Rule

from .hypothesis import Hypothesis, Proposals, Unknown
from .simulation import Fault, Moment, StepState
from .suspect import Suspect, except_that

LEAKS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.001, 1.01, 1.1, 1.5, 2.0, 4.0)
SHRINKING = (0.0, *(float(x) for x in np.logspace(-8, 0, 17)))

Before = Callable[[Moment], StepState]


def proposals(suspect: Suspect) -> Proposals:
    """All hypotheses about faults, the likely ones first."""
    rule = suspect.rule
    trial = suspect.trial
    for fault, stage, before in _state_faults(rule, trial, suspect.step - 1):
        text = except_that(rule, fault)
        yield Hypothesis(text, stage, rule, trial, Fault(before=before))
    yield from _uncorrected(rule, trial)
    if len(set(trial.rate_factors)) > 1:
        text = except_that(rule, "does not follow the learning rate when it changes")
        own = Fault(rate=lambda moment: rule.lr)  # not rounded to float32, as a trial's rates are
        yield Hypothesis(text, "update", rule, trial, own)
    for fault, changed in _rates(trial):
        yield Hypothesis(except_that(rule, fault), "update", rule, changed)
    yield from _sharing(rule, trial)
    yield from _leaks(rule, trial)
    yield from _decays(rule, trial)


def _state_faults(rule: Rule, trial: Trial, at: int) -> Iterator[tuple[str, str, Before]]:
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
    yield "counts steps from 2", "", _count_from(1)
    yield "counts steps from 0", "", _count_from(-1)
    yield "counts every step as the first", "", _always_first
    yield from _lost_states(rule, trial, at)
    keys = _state_keys(rule, trial)
    for key in keys:
        yield (
            f"keeps at step {number} the {key} of the step before",
            "state",
            _restore_previous(at, key),
        )
        yield f"begins every step with a new {key}", "state", _reset_state(None, [key])
    yield "begins every step with new state", "state", _reset_state(None, keys)


def _lost_states(rule: Rule, trial: Trial, at: int) -> Iterator[tuple[str, str, Before]]:
    """State or the count of steps that is lost, once or again and again."""
    number = at + 1
    keys = _state_keys(rule, trial)
    when = [(f"begins step {number}", at, 0)]
    if at > 1 and 2 * at < trial.steps:
        when.append((f"begins every {at} steps", at, at))
    for begins, first, period in when:
        yield (
            f"{begins} with new state, its count as well",
            "state",
            _reset_state(first, keys, True, period),
        )
        yield f"{begins} with new state", "state", _reset_state(first, keys, False, period)
        yield (
            f"{begins} with its state, but counts steps from 1 again",
            "state",
            _reset_state(first, [], True, period),
        )
        if len(keys) > 1:
            for key in keys:
                lost = _reset_state(first, [key], False, period)
                yield f"{begins} with a new {key}", "state", lost
                lost = _reset_state(first, [key], True, period)
                yield f"{begins} with a new {key}, its count as well", "state", lost


def _state_keys(rule: Rule, trial: Trial) -> list[str]:
    keys: set[str] = set()
    for start in trial.start.values():
        keys |= rule.start(start, np).keys()
    return sorted(keys)


def _count_from(difference: int) -> Before:
    def before(moment: Moment) -> StepState:
        now = moment.now
        return now._replace(t=now.t + difference) if moment.taken == 0 else now

    return before


def _always_first(moment: Moment) -> StepState:
    return moment.now._replace(t=0)


def _uncorrected(rule: Rule, trial: Trial) -> Iterator[Hypothesis]:
    """Means that are not corrected for their start at zero."""
    betas = {name: getattr(rule, name) for name in ("beta1", "beta2") if hasattr(rule, name)}
    cases = [("has no bias correction", tuple(betas.values()))] if betas else []
    if len(betas) == 2 and betas["beta1"] != betas["beta2"]:
        cases += [
            ("has no bias correction of the mean of gradients", (betas["beta1"],)),
            ("has no bias correction of the mean of squares", (betas["beta2"],)),
        ]
    for fault, bases in cases:
        text = except_that(rule, fault)
        yield Hypothesis(text, "update", rule, trial, Fault(uncorrected=bases))


def _restore_previous(at: int, *what: str) -> Before:
    """After step ``at``, from 0, restore what was before it: ``theta``, a state by name, or all
    state (no name).
    """

    def before(moment: Moment) -> StepState:
        now = moment.now
        if moment.taken != at + 1:
            return now
        old = moment.past[at]
        state = {
            key: old.state[key] if {"", key} & set(what) else value
            for key, value in now.state.items()
        }
        return StepState(old.theta if "theta" in what else now.theta, state, now.t)

    return before


def _reset_state(at: int | None, keys: list[str], count: bool = False, period: int = 0) -> Before:
    """Before step ``at``, from 0, or before each: these states as at the start; the count, too.

    With a period it happens again after every so many steps.
    """

    def before(moment: Moment) -> StepState:
        now = moment.now
        if at is not None:
            since = moment.taken - at
            if since < 0 or (since % period if period else since):
                return now
        state = {
            key: moment.start[key] if key in keys else value for key, value in now.state.items()
        }
        return StepState(now.theta, state, 0 if count else now.t)

    return before


def _rates(trial: Trial) -> Iterator[tuple[str, Trial]]:
    """Learning rates that are not those of the trial."""
    factors = trial.rate_factors
    if len(set(factors)) > 1:
        late = np.concatenate([factors[:1], factors[:-1]])
        early = np.concatenate([factors[1:], factors[-1:]])
        yield (
            "does not follow the learning rate when it changes",
            trial.replace(rate_factors=np.full(trial.steps, factors[0])),
        )
        yield "takes each learning rate one step late", trial.replace(rate_factors=late)
        yield "takes each learning rate one step early", trial.replace(rate_factors=early)
    t = np.arange(trial.steps) + 1
    yield (
        "divides the learning rate by the square root of the number of the step",
        trial.replace(rate_factors=factors / np.sqrt(t)),
    )
    yield (
        "divides the learning rate by the number of the step",
        trial.replace(rate_factors=factors / t),
    )
    for length in range(2, trial.steps + 1):
        rising = np.minimum(t / length, 1.0)
        fault = f"raises the learning rate from 1/{length} of it to the whole in {length} steps"
        yield fault, trial.replace(rate_factors=factors * rising)
        rising = np.minimum((t - 1) / length, 1.0)
        fault = f"raises the learning rate from 0 to the whole in {length} steps"
        yield fault, trial.replace(rate_factors=factors * rising)


def _sharing(rule: Rule, trial: Trial) -> Iterator[Hypothesis]:
    """What tensors have in common that each should have for itself."""
    keys = _state_keys(rule, trial)
    cases: list[tuple[str, frozenset[str], bool]] = []
    if keys:
        everything = frozenset(keys)
        cases.append(("state, and the count of steps,", everything, True))
        cases.append(("state", everything, False))
    cases.append(("the count of steps", frozenset(), True))
    if len(keys) > 1:
        cases += [(f"the state {key}", frozenset([key]), False) for key in keys]
    for what, shared, count in cases:
        verb = "are" if "," in what else "is"
        text = f"{rule!r}, except that {what} {verb} shared between tensors"
        yield Hypothesis(text, "state", rule, trial, Fault(shared=shared, shared_count=count))


def _leaks(rule: Rule, trial: Trial) -> Proposals:
    """A step size that passes from one tensor to the next."""
    for name, factor in _corrections(rule).items():
        text = (
            f"{rule!r}, except that the step size leaks from tensor to tensor: each multiplies the "
            f"learning rate of the next by {name} again"
        )
        yield Hypothesis(text, "update", rule, trial, Fault(rate=_leaking(factor)))
    if len(trial.start) < 2:
        return

    def leaking(factor: float, given: Trial) -> Hypothesis | None:
        if factor == 1:
            return None
        text = (
            f"{rule!r}, except that the step size leaks from tensor to tensor: each multiplies the "
            f"learning rate of the next by {factor!r}"
        )
        return Hypothesis(text, "update", rule, given, Fault(rate=_leaking(lambda step: factor)))

    yield Unknown(leaking, LEAKS)


def _leaking(factor: Callable[[int], float]) -> Callable[[Moment], float]:
    return lambda moment: moment.lr * factor(moment.now.t + 1) ** moment.tensor


def _corrections(rule: Rule) -> dict[str, Callable[[int], float]]:
    """The factors of a learning rate that depend on the step number t, by their formulas."""
    beta1 = getattr(rule, "beta1", None)
    beta2 = getattr(rule, "beta2", None)
    factors: dict[str, Callable[[int], float]] = {}
    if beta1 is not None:
        factors["1 / (1 - beta1^t)"] = lambda t: 1 / (1 - beta1**t)
    if beta2 is not None:
        factors["sqrt(1 - beta2^t)"] = lambda t: float((1 - beta2**t) ** 0.5)
    if beta1 is not None and beta2 is not None:
        factors["sqrt(1 - beta2^t) / (1 - beta1^t)"] = lambda t: float(
            (1 - beta2**t) ** 0.5 / (1 - beta1**t)
        )
    if getattr(rule, "lr_decay", 0.0):
        decay = rule.lr_decay  # type: ignore[attr-defined]
        factors["1 / (1 + (t - 1) lr_decay)"] = lambda t: 1 / (1 + (t - 1) * decay)
    return factors


def _decays(rule: Rule, trial: Trial) -> Proposals:
    """Weight decay that is done otherwise."""
    size = rule.weight_decay
    if size:
        without = rule.replace(weight_decay=0.0)
        decoupled = rule.decay is Decay.DECOUPLED
        if decoupled:
            twice = _shrinking(lambda moment: moment.lr * size)
            yield _decayed(rule, rule, trial, "applies weight decay twice", twice)
            at_first = _shrinking(lambda moment: rule.lr * size)
            fault = "multiplies weight decay by the learning rate of the start"
            yield _decayed(rule, without, trial, fault, at_first)
            squared = _shrinking(lambda moment: moment.lr**2 * size)
            fault = "multiplies weight decay by the learning rate twice"
            yield _decayed(rule, without, trial, fault, squared)
        else:
            doubled = rule.replace(weight_decay=2 * size)
            yield Hypothesis(except_that(rule, "applies weight decay twice"), "", doubled, trial)
        unscaled = _shrinking(lambda moment: size)
        fault = "shrinks by weight_decay, not multiplied by the learning rate"
        yield _decayed(rule, without, trial, fault, unscaled)
        if decoupled:
            fault = "shrinks by weight decay and adds it to the gradient, too"
            for choice in _other_decays(rule):
                extra = _shrinking(lambda moment: moment.lr * size)
                if choice is Decay.COUPLED:
                    yield _decayed(rule, rule.replace(decay=choice), trial, fault, extra)
    else:

        def shrinking(amount: float, given: Trial) -> Hypothesis | None:
            if not amount:
                return None
            fault = f"shrinks every tensor by {amount!r} of itself before each step"
            return _decayed(rule, rule, given, fault, _shrinking(lambda moment: amount))

        yield Unknown(shrinking, SHRINKING)


def _other_decays(rule: Rule) -> list[Any]:
    choices: tuple[Any, ...] = type(rule).__dataclass_fields__["decay"].metadata["choices"]
    return [choice for choice in choices if choice is not rule.decay]


def _decayed(rule: Rule, moved_by: Rule, trial: Trial, fault: str, before: Before) -> Hypothesis:
    """A hypothesis; where decay belongs to the gradient, no stage is at fault alone."""
    stage = "" if rule.decay is Decay.COUPLED else "update"
    return Hypothesis(except_that(rule, fault), stage, moved_by, trial, Fault(before=before))


def _shrinking(amount: Callable[[Moment], float]) -> Before:
    """Theta shrinks by this share of itself before each step."""

    def before(moment: Moment) -> StepState:
        now = moment.now
        return now._replace(theta=now.theta - now.theta * amount(moment))

    return before


def exemptions(suspect: Suspect) -> Iterator[Hypothesis]:
    """Some shapes have no weight decay."""
    rule = suspect.rule
    trial = suspect.trial
    if not rule.weight_decay:
        return
    without = rule.replace(weight_decay=0.0)
    exemptions: tuple[tuple[str, Callable[[tuple[int, ...]], bool]], ...] = (
        ("exempts vectors and 0-d tensors from weight decay", lambda shape: len(shape) < 2),
        ("exempts vectors from weight decay", lambda shape: len(shape) == 1),
        ("decays nothing but vectors and 0-d tensors", lambda shape: len(shape) >= 2),
    )
    for fault, is_exempt in exemptions:
        names = [name for name, start in trial.start.items() if is_exempt(start.shape)]
        if not names or len(names) == len(trial.start):
            continue
        hypothesis = Hypothesis(except_that(rule, fault), "update", rule, trial)
        yield dataclasses.replace(hypothesis, rules=dict.fromkeys(names, without))
