"""Numbers that the probes do not show are read off other gradients."""

import pytest

from samestep.parity.identify.answer import identify
from samestep.parity.identify.faint import faint, with_other_epsilons
from samestep.parity.identify.observe import Observation
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.tests.support.boxes import BOX, assert_is, blind
from samestep.parity.tests.support.require import LEFT_OUT
from samestep.reference import (
    Adafactor,
    Adam,
    Decay,
    Epsilon,
    Muon,
    RMSprop,
    Rule,
    ScheduleFree,
)

FLOOR = Epsilon.FLOOR


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        (Adafactor(epsilon1=3.4e-9, epsilon1_at=FLOOR), {"epsilon1": 0.0}),
        (Adafactor(epsilon1=3.4e-13), {"epsilon1": 1e-30, "epsilon1_at": FLOOR}),
        (Adafactor(epsilon1=3.4e-9, epsilon1_at=FLOOR, epsilon2=0.0), {"epsilon1": 1e-3}),
        (
            Adafactor(epsilon1=5e-12, weight_decay=0.1, decay=Decay.COUPLED),
            {"epsilon1": 0.0},
        ),
        (Muon(epsilon=2.3e-6, epsilon_at=FLOOR), {"epsilon": 0.0}),
        (Muon(epsilon=2.3e-11), {"epsilon": 1e-3, "epsilon_at": FLOOR}),
    ],
    ids=str,
)
def test_an_epsilon_far_below_usual_gradients_is_found(
    rule: Rule, seen: dict[str, float | Epsilon]
) -> None:
    """Its place, too, from a rule that has another one."""
    trial = faint(rule, "float64")
    assert trial
    observation = Observation(trial, "float64", run_rule(rule, trial, "float64"))
    assert rule in list(with_other_epsilons(rule.replace(**seen), observation))


def test_an_epsilon_that_is_a_decimal_with_the_other_kind_of_momentum_is_found() -> None:
    """An average multiplies what epsilon is compared with by 1 - momentum."""
    rule = Muon(momentum=0.767, ema=True, epsilon=0.001, epsilon_at=FLOOR)
    trial = faint(rule, "float64")
    assert trial
    observation = Observation(trial, "float64", run_rule(rule, trial, "float64"))
    seen = rule.replace(ema=False, epsilon=0.0)
    assert rule in list(with_other_epsilons(seen, observation))


def test_rules_whose_elements_show_their_epsilon_need_no_such_trial() -> None:
    """The probes have gradients of all sizes for them."""
    assert faint(Adam(), "float64") is None


@pytest.mark.parametrize(
    "rule",
    [
        Adafactor(
            lr=0.1, epsilon1=1.14e-12, epsilon1_at=FLOOR, beta2_decay=-0.5, relative_step=False
        ),
        ScheduleFree(lr=0.188, weight_decay=0.01, beta1=0.889, epsilon=1e-5, warmup=68.8),
        RMSprop(
            lr=1.0,
            weight_decay=0.00016,
            decay=Decay.DECOUPLED,
            epsilon_at=Epsilon.INSIDE,
            momentum=0.99592,
            initial_mean_square=0.0658,
        ),
    ],
    ids=str,
)
def test_numbers_that_the_probes_do_not_show_are_named(rule: Rule, full: bool) -> None:
    """A floor below all gradients of a tensor; a warm-up that outlasts the probes.

    The place of an epsilon far below a mean square.
    """
    if not full and isinstance(rule, Adafactor):
        pytest.skip(LEFT_OUT)
    assert_is(identify(BOX, blind(rule), long=True, kinds=(type(rule),)), rule)
