"""``samestep identify`` on optimizers that are none of our rules, or not by name."""

import functools
import itertools

import numpy as np
import pytest

from samestep.parity.identify.answer import Identity, identify
from samestep.parity.identify.judge import compare_on_trial, judge
from samestep.parity.identify.observe import Observation
from samestep.parity.identify.trials import LONG_STEPS, PROBE_STEPS, confirmation, long_run, probes
from samestep.parity.measure import wrong_rules
from samestep.parity.measure.limits import SAFETY, of_rule
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.verdict import Agreement
from samestep.parity.natives.interpretations import Interpretation, interpretations
from samestep.parity.runners import specs
from samestep.parity.tests.support.boxes import BOX, assert_is, blind, drawn, here
from samestep.parity.tests.support.require import LEFT_OUT
from samestep.parity.tests.unknown_optimizers import pytorch, tensorflow
from samestep.reference import (
    RULES,
    SGD,
    Adagrad,
    Adam,
    Decay,
    Epsilon,
    Lion,
    Muon,
    NAdam,
    Rule,
    ScheduleFree,
)

FEW_KINDS = (SGD, Adagrad, Adam, Lion)  # rules that are considered without --full
UNKNOWN = [
    *(f"pytorch:{name}" for name in pytorch.WRONG),
    *(f"tensorflow:{name}" for name in tensorflow.WRONG),
]
SHARE = 12  # one of so many is tried without --full
LATE = ("pytorch:wrong_strays_late", "tensorflow:wrong_strays_late")  # in the long run alone
RULES_IN_DISGUISE = {  # those that are a rule of ours after all
    "pytorch:wrong_signed_momentum": "RMSprop whose rho is 0 steps by signs",
    "tensorflow:wrong_momentum_of_signs": "the same",
}


def identity_of(name: str, full: bool) -> Identity:
    """The identity of an unknown optimizer; without ``full`` few rules are considered."""
    spec = specs.read(f"samestep.parity.tests.unknown_optimizers.{name}")
    return identify(spec, here, long=full or name in LATE, kinds=RULES if full else FEW_KINDS)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("pytorch:right", Adam(lr=0.01)),
        ("pytorch:right_signs", Lion(lr=0.01, beta1=0.0)),
        ("pytorch:right_squares", Adagrad(lr=0.01, epsilon=1e-30)),
        ("tensorflow:right", Adam(lr=0.01, epsilon=1e-7, epsilon_at=Epsilon.HAT)),
    ],
)
def test_a_rule_written_by_hand_is_named(name: str, rule: Rule, full: bool) -> None:
    """It has the same class as the wrong ones, whose name tells nothing."""
    if not full and name.startswith("tensorflow"):
        pytest.skip(LEFT_OUT)
    assert_is(identity_of(name, full=False), rule)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_custom_optimizer_is_none_of_the_rules(name: str, full: bool) -> None:
    """The nearest rule is beyond its limit. Those that are a rule of ours are named."""
    if not full and (name not in UNKNOWN[::SHARE] or name in LATE):
        pytest.skip(LEFT_OUT)
    identity = identity_of(name, full)
    if name in RULES_IN_DISGUISE:
        assert identity.rule
        assert not identity.beyond
        return
    assert identity.rule is None, identity
    assert max(result.verdict.excess for result in identity.results) > 1
    assert not identity.ignores_learning_rate


@pytest.mark.parametrize("name", ["pytorch:stubborn", "tensorflow:scheduled"])
def test_an_optimizer_that_ignores_its_learning_rate_is_reported(name: str) -> None:
    """Without that, its steps would be those of a rule."""
    identity = identify(
        specs.read(f"samestep.parity.tests.unknown_optimizers.{name}"),
        here,
        long=False,
        kinds=(SGD,),
    )
    assert identity.rule is None
    assert identity.ignores_learning_rate


def test_hyperparameters_with_infinite_limits_are_not_accepted() -> None:
    """Every optimizer would be within them, such as one that switches from Adam to SGD."""
    runaway = NAdam(
        lr=0.0087, beta1=0.9999999999999996, beta2=0.9499, epsilon=9.9e-9, momentum_decay=1.12e8
    )
    trial = Observation(probes(), "float64", run_rule(Adam(lr=0.01), probes(), "float64"))
    assert compare_on_trial(Interpretation(Adam(lr=0.01)), trial).holds
    assert not compare_on_trial(Interpretation(runaway), trial).holds


@pytest.mark.parametrize("name", LATE)
def test_what_strays_after_many_steps_is_caught(name: str, full: bool) -> None:
    """Up to step 149 it is Adam, and the trial of many steps goes on to step 1200."""
    if not full and name.startswith("tensorflow"):
        pytest.skip(LEFT_OUT)
    spec = specs.read(f"samestep.parity.tests.unknown_optimizers.{name}")
    short, long = (identify(spec, here, long=long, kinds=(Adam,)) for long in (False, True))
    assert isinstance(short.rule, Adam)
    assert long.rule is None
    assert [(result.holds, result.steps, result.taken) for result in long.results[-1:]] == [
        (False, LONG_STEPS, LONG_STEPS)
    ]


def test_steps_whose_limits_could_convict_nothing_are_not_judged() -> None:
    """In float32 rounding may at last move most elements as far as Adam does in 64 steps."""
    rule = Adam(lr=0.001, weight_decay=0.01, decay=Decay.DECOUPLED)
    trial = long_run(vectors=True)
    trajectory = run_rule(rule, trial, "float32")
    result = compare_on_trial(Interpretation(rule), Observation(trial, "float32", trajectory))
    assert result.verdict.agreement is Agreement.EQUAL_BITS
    assert PROBE_STEPS < result.steps < result.taken == LONG_STEPS
    bounds = SAFETY * of_rule(rule, trial, "float32").thetas["long"]
    path = np.cumsum(np.abs(np.diff(trajectory.thetas["long"], axis=0)), axis=0)
    last = result.steps  # from 0: the first step that was not judged
    lately = path[last - 1] - path[last - 1 - PROBE_STEPS]
    assert 2 * (bounds[last] < lately).sum() < (lately > 0).sum()


def test_a_deviation_that_leaves_the_interval_of_a_number_is_left_out() -> None:
    """ScheduleFree needs a beta1 above 0, and float32 rounds this one to 0."""
    tiny = ScheduleFree(beta1=1e-60)
    assert [known.rule for known in interpretations(tiny, "keras", "float64")] == [tiny]
    assert len(list(interpretations(ScheduleFree(beta1=0.9), "keras", "float64"))) > 1


MUTANTS = [
    (kind, mutant.name) for kind in RULES if kind is not Muon for mutant in wrong_rules.RULES
    if mutant.file == f"reference/{kind.__name__.lower()}.py"
]  # fmt: skip
DAILY = ("adam: amsgrad is ignored", "sgd: first step is dampened", "rprop: sizes never shrink")
DRAWS = 150
UNSEEN = {  # only the trial of many steps shows them
    "adam: bias correction ends after a thousand steps", "adafactor: rate is never capped",
    "adafactor: rate is always capped", "adafactor: decay follows the capped rate",
}  # fmt: skip


@functools.cache
def observations_of(wrong: Rule) -> list[Observation]:
    """The trajectories of a rule on all trials but the long one."""
    trials = (probes(), confirmation(vectors=True))
    return [
        Observation(trial, dtype, run_rule(wrong, trial, dtype))
        for trial, dtype in itertools.product(trials, ("float64", "float32"))
    ]


def _same_on_probes(one: Rule, other: Rule) -> bool:
    """True if the two rules have equal bits on the probes."""
    ours, theirs = (run_rule(rule, probes(), "float64").thetas for rule in (one, other))
    return all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)


def distinguishable_pair(kind: type[Rule], name: str) -> tuple[Rule, Rule] | None:
    """The right and the wrong rule, with the first drawn numbers with which the trials differ.

    None if they differ with none.
    """
    for seed in range(DRAWS):
        right = drawn(kind, 100 * RULES.index(kind) + seed)
        wrong = wrong_rules.wrong_rules(kind.__name__)[name](**right.to_dict())
        if _same_on_probes(right, wrong):
            continue
        if not judge(right, "", observations_of(wrong)).holds:
            return right, wrong
    return None


@pytest.mark.parametrize(("kind", "name"), MUTANTS, ids=str)
def test_a_mutant_is_never_named_as_the_right_rule(kind: type[Rule], name: str, full: bool) -> None:
    """It is none of the rules, or a rule with other numbers, which then holds in a long run."""
    if not full and name not in DAILY:
        pytest.skip(LEFT_OUT)
    pair = distinguishable_pair(kind, name)
    assert (pair is None) == (name in UNSEEN)
    if pair is None:
        return
    right, wrong = pair
    identity = identify(BOX, blind(wrong), long=False, kinds=(kind,))
    assert repr(right) not in {repr(rule) for rule in (identity.rule, *identity.indistinguishable)}
    if identity.rule:
        long = long_run(vectors=True)
        trial = Observation(long, "float64", run_rule(wrong, long, "float64"))
        assert any(
            judge(rule, "", [trial]).holds for rule in (identity.rule, *identity.indistinguishable)
        )


def test_the_long_run_shows_what_short_ones_do_not(full: bool) -> None:
    """A bias correction that ends after a thousand steps looks like Adam before that."""
    if not full:
        pytest.skip(LEFT_OUT)
    rule = Adam(lr=0.01)
    wrong = wrong_rules.wrong_rules("Adam")["adam: bias correction ends after a thousand steps"](
        **rule.to_dict()
    )
    short, long = (identify(BOX, blind(wrong), long=long, kinds=(Adam,)) for long in (False, True))
    assert_is(short, rule)
    assert long.rule is None
