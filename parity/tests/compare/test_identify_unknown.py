"""``samestep identify``: what is no rule of ours is called none, or what it truly is."""

import functools

import numpy as np
import pytest

from samestep.parity.identify import court, probes
from samestep.parity.identify.answer import Identity, identify
from samestep.parity.identify.readings import Reading, readings
from samestep.parity.identify.trials import Observation, fresh, long_run
from samestep.parity.measure import wrong_rules
from samestep.parity.runners import contestants
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.tests.support.boxes import BOX, assert_is, blind, drawn, here
from samestep.parity.tests.support.require import LEFT_OUT
from samestep.parity.tests.unknown_optimizers import pytorch, tensorflow
from samestep.reference import RULES, SGD, Adagrad, Adam, Epsilon, Lion, Muon, NAdam, Rule, ScheduleFree

KIN = (SGD, Adagrad, Adam, Lion)  # what is thought of by day
STRANGERS = [
    f"{home}:{name}" for home, table in (("pytorch", pytorch), ("tensorflow", tensorflow)) for name in table.WRONG
]
SHARE = 12  # one of so many by day
IN_TRUTH = {  # what a stranger is, where it is a rule of ours under another name
    "pytorch:wrong_signed_momentum": "RMSprop whose rho is 0 steps by signs",
    "tensorflow:wrong_momentum_of_signs": "the same",
}


def found_of(name: str, full: bool) -> Identity:
    """What the stranger is; by day sought among a few rules."""
    contestant = contestants.read(f"samestep.parity.tests.unknown_optimizers.{name}")
    return identify(contestant, here, long=full, kinds=RULES if full else KIN)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("pytorch:right", Adam(lr=0.01)),
        ("pytorch:right_signs", Lion(lr=0.01, beta1=0.0)),
        ("pytorch:right_squares", Adagrad(lr=0.01, epsilon=1e-30)),
        ("tensorflow:right", Adam(lr=0.01, epsilon=1e-7, epsilon_at=Epsilon.HAT)),
    ],
)
def test_a_stranger_that_is_right_is_named(name: str, rule: Rule, full: bool) -> None:
    """The same arithmetic as the wrong ones have, in a class that says nothing."""
    if not full and name.startswith("tensorflow"):
        pytest.skip(LEFT_OUT)
    assert_is(found_of(name, full=False), rule)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_custom_is_none(name: str, full: bool) -> None:
    """And the nearest is told, with the place where it leaves; but for what is a rule of ours in truth."""
    if not full and name not in STRANGERS[::SHARE]:
        pytest.skip(LEFT_OUT)
    found = found_of(name, full)
    if name in IN_TRUTH:
        assert found.rule
        assert not found.beyond
        return
    assert found.rule is None, found
    assert max(held.excess for held in found.held) > 1
    assert not found.stuck


@pytest.mark.parametrize("name", ["pytorch:stubborn", "tensorflow:scheduled"])
def test_who_ignores_the_learning_rate_is_told_so(name: str) -> None:
    """It is no rule's way, and not for the steps themselves."""
    found = identify(
        contestants.read(f"samestep.parity.tests.unknown_optimizers.{name}"), here, long=False, kinds=(SGD,)
    )
    assert found.rule is None
    assert found.stuck


def test_numbers_with_which_rounding_may_lead_anywhere_hold_nothing() -> None:
    """Their limits are infinite: they would let every box through, as one that switches from Adam to SGD."""
    runaway = NAdam(lr=0.0087, beta1=0.9999999999999996, beta2=0.9499, epsilon=9.9e-9, momentum_decay=1.12e8)
    trial = Observation(probes.trial(), "float64", in_numpy.run(Adam(lr=0.01), probes.trial(), "float64"))
    assert court.held(Reading(Adam(lr=0.01)), trial).verdict.holds
    assert not court.held(Reading(runaway), trial).verdict.holds


def test_a_number_that_float32_takes_to_its_bound_is_no_reading() -> None:
    """As a fit to a stranger of Keras proposed it: ScheduleFree needs a beta1 above 0."""
    assert [reading.rule for reading in readings(ScheduleFree(beta1=1e-60), "keras", "float64")] == [
        ScheduleFree(beta1=1e-60)
    ]
    assert len(list(readings(ScheduleFree(beta1=0.9), "keras", "float64"))) > 1


MUTANTS = [
    (kind, mutant.name) for kind in RULES if kind is not Muon for mutant in wrong_rules.RULES
    if mutant.file == f"reference/{kind.__name__.lower()}.py"
]  # fmt: skip
BY_DAY = ("adam: amsgrad is ignored", "sgd: first step is dampened", "rprop: sizes never shrink")
DRAWS = 150
UNSEEN = {  # for these the trial of many steps is there
    "adam: bias correction ends after a thousand steps", "adafactor: rate is never capped",
    "adafactor: rate is always capped", "adafactor: decay follows the capped rate",
}  # fmt: skip


@functools.cache
def asked(wrong: Rule) -> list[Observation]:
    """What identify without the long run asks."""
    trials = (probes.trial(), fresh(flat=True))
    return [
        Observation(trial, dtype, in_numpy.run(wrong, trial, dtype))
        for trial in trials
        for dtype in ("float64", "float32")
    ]


def _alike(one: Rule, other: Rule) -> bool:
    """Whether the probes see no bit of difference."""
    ours, theirs = (in_numpy.run(rule, probes.trial(), "float64").thetas for rule in (one, other))
    return all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)


def seen(kind: type[Rule], name: str) -> tuple[Rule, Rule] | None:
    """The right rule and the wrong one, with the first numbers drawn with which they part; None if none make them."""
    for seed in range(DRAWS):
        right = drawn(kind, 100 * RULES.index(kind) + seed)
        wrong = wrong_rules.wrong_rules(kind.__name__)[name](**right.to_dict())
        if _alike(right, wrong):
            continue
        if not court.judge(right, "", asked(wrong)).holds:
            return right, wrong
    return None


@pytest.mark.parametrize(("kind", "name"), MUTANTS, ids=str)
def test_a_mutant_is_never_named_as_the_right_rule(kind: type[Rule], name: str, full: bool) -> None:
    """It is none, or one of those that cannot be told apart goes its way on fresh gradients too, with other numbers."""
    if not full and name not in BY_DAY:
        pytest.skip(LEFT_OUT)
    pair = seen(kind, name)
    assert (pair is None) == (name in UNSEEN)
    if pair is None:
        return
    right, wrong = pair
    found = identify(BOX, blind(wrong), long=False, kinds=(kind,))
    assert repr(right) not in {repr(rule) for rule in (found.rule, *found.alike)}
    if found.rule:
        long = long_run(flat=True)
        trial = Observation(long, "float64", in_numpy.run(wrong, long, "float64"))
        assert any(court.judge(rule, "", [trial]).holds for rule in (found.rule, *found.alike))


def test_a_long_run_tells_what_a_short_one_cannot(full: bool) -> None:
    """Bias correction that ends after a thousand steps is none of ours, and looks like Adam before."""
    if not full:
        pytest.skip(LEFT_OUT)
    rule = Adam(lr=0.01)
    wrong = wrong_rules.wrong_rules("Adam")["adam: bias correction ends after a thousand steps"](**rule.to_dict())
    short, long = (identify(BOX, blind(wrong), long=long, kinds=(Adam,)) for long in (False, True))
    assert_is(short, rule)
    assert long.rule is None
