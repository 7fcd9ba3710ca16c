"""Rung 3, translation: what one dialect says in another's words, both sides run."""

import functools
from typing import Any

import numpy as np
import pytest

from samestep.parity.measure import limits, nearest_wrong
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule, run_tensor
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Verdict, judge, judge_tensor
from samestep.parity.runners import LIBRARIES, Native, runner_of
from samestep.parity.tests.support.require import require
from samestep.reference import (
    ASGD,
    RULES,
    Adagrad,
    Adam,
    Epsilon,
    Muon,
    NAdam,
    Rule,
    ScheduleFree,
    dialects,
)
from samestep.reference.dialects import Call, Kind, relate
from samestep.reference.dialects.refusal import SIZES
from samestep.reference.dialects.relation import nearest

pytestmark = pytest.mark.rung(3)

TRIED = ("pytorch", "keras", "paper")  # every two of them, by running both sides
EXACT = (Kind.SAME, Kind.OTHER, Kind.CONSTANT)
EVERY = [
    (source, call, rule, target)
    for source, words in dialects.DIALECTS.items() for kind in RULES
    for call, rule in dialects.relation.calls(words, kind)
    for target in dialects.DIALECTS if target != source
]  # fmt: skip
PAIRS = [pair for pair in EVERY if pair[0] in TRIED and pair[3] in TRIED]
NUMBERS = {  # which float32 holds, so that no cast on the way changes them
    "lr": 2**-7, "beta1": 0.875, "beta2": 0.96875, "rho": 0.875, "epsilon": 2**-10,
    "initial_accumulator": 0.125,
    "weight_decay": 0.125,
}  # fmt: skip


DEVIANT = (
    NAdam,
    ASGD,
    ScheduleFree,
    Muon,
)  # their natives deviate, whatever the numbers: their rules go instead


def label(value: object) -> str | None:
    """Rules are told by their calls."""
    return "" if isinstance(value, Rule) else None


def rounded(rule: Rule) -> Rule:
    """The rule with numbers that float32 holds; what is zero, and Zeiler's learning rate of 1,
    stays.
    """
    stays = (
        {"lr"} if rule.lr == 1.0 else {"epsilon"} if isinstance(rule, Muon) else set()
    )  # Keras' Muon has 1e-7 alone
    return rule.replace(
        **{k: v for k, v in NUMBERS.items() if getattr(rule, k, 0) and k not in stays}
    )


@functools.cache
def designed(rule: Rule) -> Trial:
    """The designed trial of a rule, one object for each rule."""
    return nearest_wrong.designed_trial(rule)


@functools.cache
def steady(trial: Trial) -> Trial:
    """The trial at its first learning rate throughout."""
    return trial.replace(rate_factors=np.full(trial.steps, trial.rate_factors[0]))


def run_call(dialect: str, call: Call, trial: Trial, each_step: str = "") -> Trajectory:
    """The trajectory of the dialect's native in float64; of the rule where there is no native, or
    where it deviates.
    """
    known = dialects.find(dialect).natives.get(call.name)
    if dialect not in LIBRARIES or (known and known.rule in DEVIANT):
        return run_rule(dialects.find(dialect).read(call.name, **call.arguments), trial, "float64")
    for module in LIBRARIES[dialect].needs:
        require(module)
    native = Native(call, LIBRARIES[dialect].modes(call.name)[0])
    return runner_of(dialect).run_native(native, trial, "float64", each_step)


def compare(rule: Rule, trial: Trial, first: Trajectory, second: Trajectory) -> Verdict:
    """Compare two runs of one rule, each as far off as rounding allows."""
    bounds = limits.of_rule(rule, trial, "float64")
    return judge(trial, first, second, Limits({k: 2 * v for k, v in bounds.thetas.items()}, {}))


@pytest.mark.parametrize(("source", "call", "rule", "target"), PAIRS, ids=label)
def test_both_sides_of_an_exact_translation_go_the_same_way(
    source: str, call: str, rule: Rule, target: str
) -> None:
    """Live; at a changing rate, unless a condition asks for a constant one, and then they part
    where it changes.
    """
    rule = rounded(rule)
    relation = relate(rule, dialects.find(target))
    if relation.kind not in EXACT:
        return
    assert relation.call
    said = dialects.find(source).spell(rule)
    falling = designed(rule)
    constant = relation.kind is Kind.CONSTANT
    trial = steady(falling) if constant else falling
    verdict = compare(
        rule, trial, run_call(source, said, trial), run_call(target, relation.call, trial)
    )
    assert verdict.holds, f"{said} as {relation.call}: {verdict}"
    if constant:
        one, code = run_call(source, said, falling), relation.call.each_step
        assert not compare(rule, falling, one, run_call(target, relation.call, falling)).holds
        if code:
            verdict = compare(rule, falling, one, run_call(target, relation.call, falling, code))
            assert verdict.holds, f"{said} as {relation.call}: {verdict}"


@pytest.mark.parametrize(("source", "call", "rule", "target"), PAIRS, ids=label)
def test_impossible_translation_is_parted_by_gradients(
    source: str, call: str, rule: Rule, target: str
) -> None:
    """Live: the nearest call with the same numbers goes another way; and not so with the setting of
    each step.
    """
    rule, words = rounded(rule), dialects.find(target)
    relation = relate(rule, words)
    if relation.kind in EXACT:
        return
    assert relation.refusal
    near = nearest(rule, words)
    if near is None:
        name = type(rule).__name__
        assert relation.refusal.why == words.lacking.get(name, f"it has no {name}")
        return
    said, trial = dialects.find(source).spell(rule), designed(rule)
    one = run_call(source, said, trial)
    assert not compare(rule, trial, one, run_call(target, near, trial)).holds
    code = relation.refusal.each_step
    if code and target in LIBRARIES:
        verdict = compare(rule, trial, one, run_call(target, near, trial, code))
        assert verdict.holds, f"{said} as {near} with {code}: {verdict}"


def test_every_relation_holds_between_the_rules() -> None:
    """All dialects: the rule that is read back goes the way of the rule that was spelled, at the
    rates it claims.
    """
    kinds = dict.fromkeys(Kind, 0)
    for source, call, rule, target in EVERY:
        rule, words = rounded(rule), dialects.find(target)
        relation = relate(rule, words)
        kinds[relation.kind] += 1
        if relation.call:
            back = words.read(relation.call.name, **relation.call.arguments)
            trial = designed(rule)
            trial = steady(trial) if relation.kind is Kind.CONSTANT else trial
            verdict = compare(
                rule, trial, *(run_rule(each, trial, "float64") for each in (rule, back))
            )
            assert verdict.holds, f"{source}:{call} as {relation.call}: {verdict}"
            assert (relation.kind is Kind.OTHER) <= (back != rule)
        else:
            assert relation.refusal
            assert relation.note
    assert all(kinds.values()), kinds


FIRST = np.logspace(-6, 6, 1201)[None]  # gradients of a first step


def first_steps(at: Epsilon, epsilon: float) -> np.ndarray:
    """Adagrad's first steps from nothing, for all of ``FIRST``."""
    rule = Adagrad(lr=1.0, epsilon=epsilon, epsilon_at=at)
    return -run_tensor(rule, np.zeros(FIRST.shape[1]), FIRST, "float64")[0]


@pytest.mark.parametrize(
    ("native", "best", "percent"), [(Epsilon.INSIDE, 16 / 9, 25), (Epsilon.OUTSIDE, 0.816, 23)]
)
def test_best_static_match_is_as_far_off_as_told(
    native: Epsilon, best: float, percent: int
) -> None:
    """No other constant brings the worst step of all gradients nearer, and the worst is as told."""
    rule = Epsilon.OUTSIDE if native is Epsilon.INSIDE else Epsilon.INSIDE
    right = first_steps(rule, 1.0)

    def worst(constant: float) -> float:
        return float(np.abs(first_steps(native, constant) / right - 1).max())

    assert round(100 * worst(best)) == percent
    assert worst(best) == min(
        worst(best * factor) for factor in (0.5, 0.9, 0.98, 1.0, 1.02, 1.1, 2.0)
    )
    told = SIZES[native, rule]
    assert told.count(f"{percent} %") == 2
    assert ("16/9" if native is Epsilon.INSIDE else f"{best}") in told


NARROW: dict[str, Any] = {
    "lr": 2**-7,
    "beta1": 0.5,
    "beta2": 0.25,
    "epsilon": 2**-10,
}  # powers that float32 holds, too
SETTINGS = [
    ("optax", Adam(**NARROW, epsilon_at=Epsilon.HAT)),
    ("optax", Adam(**NARROW, epsilon_at=Epsilon.HAT, amsgrad=True)),
    ("optax", Adam(**NARROW, bias_correction=False)),
    ("pytorch", Adam(**NARROW, bias_correction=False)),
    ("pytorch", Adam(**NARROW, bias_correction=False, amsgrad=True, weight_decay=0.125)),
    ("pytorch", Adam(**NARROW, bias_correction=False, weight_decay=0.125, decay="DECOUPLED")),
    ("tf_keras", Adam(**NARROW)),
    ("tensorflow1", Adam(**NARROW)),
]


@pytest.mark.parametrize(("dialect", "rule"), SETTINGS, ids=str)
def test_setting_of_each_step_makes_the_call_of_the_remedy_exact(dialect: str, rule: Rule) -> None:
    """The code of the refusal, run as it is told, before each step; without it the call parts."""
    refusal = relate(rule, dialects.find(dialect)).refusal
    assert refusal
    (remedy,) = (remedy for remedy in refusal.remedies if remedy.each_step)
    assert remedy.each_step == refusal.each_step
    _, name, arguments = dialects.parse(remedy.use)
    call, trial = Call(name, arguments), designed(rule)
    expected = run_rule(rule, trial, "float64")
    assert not compare(rule, trial, expected, run_call(dialect, call, trial)).holds
    verdict = compare(rule, trial, expected, run_call(dialect, call, trial, refusal.each_step))
    assert verdict.holds, f"{remedy}: {verdict}"


FLOOR = 2.0**-60  # a gradient smaller than any other


def test_papers_amsgrad_corrects_no_bias() -> None:
    """Reddi et al., algorithm 2, written out here; an Adam that corrects the bias parts from it."""
    alpha, beta1, beta2 = 2**-7, 0.875, 0.96875
    rule = dialects.paper.read("AMSGrad", alpha=alpha, beta1=beta1, beta2=beta2)
    trial = steady(designed(rule))
    (start,), (given,) = trial.start.values(), trial.gradients.values()
    gradients = np.where(given == 0, FLOOR, given)  # 0 / 0 is no question here
    theta, m, v, w = start, 0.0, 0.0, 0.0
    thetas = []
    for g in gradients:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w = np.maximum(w, v)
        theta = theta - alpha * m / np.sqrt(w)
        thetas.append(theta)
    limit = limits.of_tensor(rule, start, gradients, "float64")
    for ours, holds in ((rule, True), (rule.replace(bias_correction=True), False)):
        moved = run_tensor(ours, start, gradients, "float64")
        assert judge_tensor(start, np.array(thetas), moved, limit).holds is holds
