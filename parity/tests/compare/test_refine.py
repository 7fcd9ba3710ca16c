"""Fitted numbers are written as the decimals that they were meant as."""

import numpy as np
import pytest

from samestep.parity.identify.equivalents import rewrite
from samestep.parity.identify.family import ELEMENTWISE, RuleTemplate
from samestep.parity.identify.fit import FittedRule, fit
from samestep.parity.identify.fit_data import fit_data
from samestep.parity.identify.observe import Observation
from samestep.parity.identify.refine import refine, split_rate
from samestep.parity.identify.trials import probes
from samestep.parity.measure.rule_run import run_rule
from samestep.reference import SGD, Adagrad, Adam, Epsilon, Rule

NEAR = 1.0003  # a fit starts so far from the true numbers, as a factor
ROUGH = 1e-7  # and ends at this error: then few numbers are known well enough at once


def fitted_to(rule: Rule, names: tuple[str, ...]) -> FittedRule:
    """The fit of these fields of the rule to its own steps in float64."""
    trial = probes()
    observation = Observation(trial, "float64", run_rule(rule, trial, "float64"))
    data = fit_data(observation, ELEMENTWISE, trial.steps, elementwise=True)
    fixed = {name: getattr(rule, name) for name in rule.names() if name not in names}
    start = {name: getattr(rule, name) / NEAR for name in names}
    fitted = fit(RuleTemplate(type(rule), fixed), start, data, exact=ROUGH)
    assert fitted
    return fitted


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (SGD(lr=0.0375, momentum=0.913), ("lr", "momentum")),
        (Adam(lr=0.00123, beta1=0.87, beta2=0.9973), ("lr", "beta1", "beta2")),
        (  # the accumulator hides all but a few digits of epsilon
            Adagrad(
                lr=0.0512, epsilon=3.21e-6, epsilon_at=Epsilon.OUTSIDE, initial_accumulator=0.731
            ),
            ("lr", "epsilon", "initial_accumulator"),
        ),
    ],
    ids=str,
)
def test_numbers_come_back_as_they_were_written(rule: Rule, names: tuple[str, ...]) -> None:
    """To the last bit, though the fit has them but nearly."""
    fitted = fitted_to(rule, names)
    assert fitted.rule != rule
    assert rule in list(refine(fitted))


def test_a_rule_that_was_not_fitted_is_not_refined() -> None:
    """Its numbers were read off the steps, and nothing says how accurate they are."""
    assert list(refine(FittedRule(SGD(lr=0.1), 0.0, ()))) == []


@pytest.mark.parametrize(
    ("lr", "scale"), [(0.003, 0.2), (0.001, 1.0), (0.037, 1.25), (3e-05, 0.731), (0.07, 7.1)]
)
def test_a_product_is_split_into_the_rate_and_the_scale(lr: float, scale: float) -> None:
    """Which decimal the rate was shows in its float32 rounding."""
    rate = float(np.float32(lr))
    assert split_rate(rate * scale) == (rate, scale)


def test_of_equal_products_the_scale_nearest_to_one_is_taken() -> None:
    """0.02 * 0.2 is 0.01 * 0.4 in float32, too: powers of two do not change how 0.01 is rounded."""
    product = float(np.float32(0.02)) * 0.2
    assert split_rate(product) == (float(np.float32(0.01)), 0.4)
    assert float(np.float32(0.01)) * 0.4 == product


def test_a_product_of_no_decimals_stays_one_rate() -> None:
    """What the rate loses in float32 is in the scale, and their product is the number."""
    product = 0.0123456789012345
    rate, scale = split_rate(product)
    assert rate == float(np.float32(product))
    assert rate * scale == product
    assert split_rate(0.0) == (0.0, 1.0)


def test_an_adagrad_whose_accumulator_is_zero_has_no_other_form() -> None:
    """Such a fit is proposed for optimizers that become NaN without a gradient."""
    assert not list(rewrite(Adagrad(lr=0.01, epsilon=0.0, initial_accumulator=0.0), "keras"))
