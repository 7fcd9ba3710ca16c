"""Rung 1, truth, far from everyday: late steps, large and tiny numbers, long tensors, unchosen
hyperparameters.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from samestep.frameworks.numpy import namespace
from samestep.parity.measure import bounded, cases, limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.truth import couplings, equations
from samestep.parity.truth.digits import mpfr, sqrt
from samestep.reference import (
    ASGD,
    LAMB,
    RULES,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Decay,
    Epsilon,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    Rule,
    ScheduleFree,
    dialects,
    sums,
)

pytestmark = pytest.mark.rung(1)

# steps without a gradient, beyond an epoch of the experiment; and with one after them
REST, AFTER = 2100, 3
SCALES = np.array([1e-3, 0.1, 1.0, 10.0])
DRAWS = 24  # of each rule
SHARP = 2.0**-10  # of the path: a limit beyond it says little

RESTED = [
    SGD(momentum=0.9), Rprop(), Adagrad(lr_decay=0.001), Adadelta(),
    RMSprop(momentum=0.9, centered=True),
    Adam(beta2=0.9999), Adam(epsilon=1.0, epsilon_at=Epsilon.HAT), Adam(amsgrad=True),
    Adamax(beta1=0.9999), NAdam(),
    RAdam(beta2=0.9999), RAdam(epsilon=1.0, epsilon_at=Epsilon.HAT), ScheduleFree(),
    ScheduleFree(warmup=3000), Lion(),
    LAMB(beta2=0.9999, epsilon=1.0),
]  # fmt: skip


def hold(
    rule: Rule, start: np.ndarray, gradients: np.ndarray, truth: np.ndarray, dtype: str = "float64"
) -> bool:
    """The last steps, as many as the truth has, are as near to it as rounding allows; whether that
    is a sharp limit.
    """
    with np.errstate(all="ignore"):  # of 0 / 0 both make no number
        actual = run_tensor(rule, start, gradients, dtype)[-len(truth) :]
        bounds = limits.of_tensor(rule, start, gradients, dtype)[-len(truth) :]
        verdict = judge_tensor(start, truth.astype(np.float64), actual, bounds)
    assert verdict.holds, f"{rule!r}: {verdict}"
    return verdict.limit < SHARP


def after_a_rest(rule: Rule, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The truth about the steps that follow ``REST`` steps without a gradient, in which nothing
    moves.
    """
    if isinstance(rule, LAMB):
        return _tensor_after_a_rest(rule, start, gradients)
    columns = []
    for theta, column in zip(start, gradients.T, strict=True):
        columns.append(list(_element_after_a_rest(rule, theta, column)))
    return np.array(columns).T


def _tensor_after_a_rest(rule: LAMB, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    seen = [couplings.exact(np.zeros_like(start))] * REST
    value = couplings.exact(start)
    thetas = []
    for gradient in gradients:
        seen.append(couplings.exact(gradient))
        value = value - couplings.lamb(rule, couplings.History(seen, value, value), mpfr(rule.lr))
        thetas.append(value)
    return np.array(thetas)


def _element_after_a_rest(rule: Rule, start: float, gradients: np.ndarray) -> Iterator[mpfr]:
    value = mpfr(start)
    nothing = [mpfr(0)] * REST
    derived = [value] * REST if isinstance(rule, ScheduleFree) else list(nothing)
    history = equations.History(
        gradients=list(nothing),
        before_decay=[value] * REST,
        after_decay=[value] * REST,
        steps=list(nothing),
        derived=derived,
    )
    for gradient in gradients:
        history.before_decay.append(value)
        history.after_decay.append(value)
        history.gradients.append(mpfr(gradient))
        rates = [mpfr(rule.lr)] * len(history.gradients)
        history.steps.append(equations.STEPS[type(rule)](rule, history, rates))
        value -= history.steps[-1]
        yield value


@pytest.mark.parametrize("rule", RESTED, ids=repr)
def test_late_steps_follow_the_equation(rule: Rule) -> None:
    """A tensor that has met its first gradient late, as a frozen layer's does under zeros, steps as
    it should.
    """
    start, gradients = streams.start(len(SCALES)), streams.gradients("spread", AFTER, SCALES)
    rest = np.zeros((REST, len(SCALES)))
    assert hold(
        rule, start, np.concatenate([rest, gradients]), after_a_rest(rule, start, gradients)
    )


# (rule, coefficient): its equation, where it depends on a step's number in a way of its own
RATES = {
    (ASGD(lr=0.1, lambd=0.01), "later"): lambda t: (
        mpfr(0.1) / (1 + mpfr(0.01) * mpfr(0.1) * t) ** mpfr(0.75)
    ),
    (Adafactor(lr=0.1), "lr"): lambda t: min(mpfr(0.1), 1 / sqrt(mpfr(t))),
}


@pytest.mark.parametrize("t", [1, 99, 100, 101, 2001, 10**4, 10**6])
@pytest.mark.parametrize(("rule", "name"), RATES, ids=str)
def test_rates_fall_with_time_as_the_equation_says(rule: Rule, name: str, t: int) -> None:
    """Far beyond any trial's length, within the rounding of its roots and powers."""
    rate = getattr(rule.coefficients(t, rule.lr), name)
    analysed = getattr(
        rule.coefficients(t, bounded.Bounded(rule.lr), bounded.namespace("float64")), name
    )
    gap, limit = abs(rate - RATES[rule, name](t)), limits.SAFETY * float(analysed.error)
    assert gap <= limit, f"{name} at step {t} is {gap} off, limit {limit}"


@pytest.mark.parametrize("call", cases.CALLS)
def test_large_numbers_follow_the_equation(call: str) -> None:
    """Weights of about 16, and gradients up to some 100,000."""
    rule = dialects.read(call)
    start = streams.suit(rule, streams.start(len(SCALES)) * 1024)
    gradients = streams.suit(rule, streams.gradients("spread", 6, SCALES) * 8192)
    assert hold(rule, start, gradients, couplings.truth(rule, start, gradients))


@pytest.mark.parametrize("rule", [Rprop(), Lion()], ids=repr)
def test_tiny_gradients_follow_the_equation(rule: Rule) -> None:
    """Of some 1e-25 in float32, whose products are no numbers: of a sign nothing is lost."""
    start, gradients = (
        streams.start(len(SCALES)),
        streams.gradients("spread", 12, SCALES[1:].repeat(2)[:4]) * 2.0**-80,
    )
    assert hold(rule, start, gradients, couplings.truth(rule, start, gradients), "float32")


@pytest.mark.parametrize(
    "size", [1, 2, 3, 1023, 4095, 4096, 4097, 6000, 10_000, 2**16 + 1, 2**17 - 1]
)
def test_every_element_of_a_long_tensor_is_summed(size: int) -> None:
    """Once: of whole numbers the sum is exact."""
    numbers = np.arange(1.0, size + 1)
    assert sums.total(numbers, namespace).item() == size * (size + 1) / 2
    assert sums.mean(numbers, namespace).item() == (size + 1) / 2
    assert sums.total_square(numbers, namespace).item() == size * (size + 1) * (2 * size + 1) / 6


@pytest.mark.parametrize("shape", [(2, 2, 1, 2), (1, 2, 2, 2), (2, 1, 1, 2, 2)])
def test_kernels_of_convolutions_are_factored(shape: tuple[int, ...]) -> None:
    """By their last two dimensions, however many stand before them."""
    for call in (call for call in cases.CALLS if "Adafactor" in call):
        rule = dialects.read(call)
        start = streams.start(8).reshape(shape)
        gradients = streams.gradients("spread", 6, np.repeat(SCALES, 2)).reshape(6, *shape)
        hold(rule, start, gradients, couplings.truth(rule, start, gradients))


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(("decay", "share"), [(Decay.COUPLED, 1), (Decay.DECOUPLED, 0.5)], ids=str)
def test_muon_moves_vectors_by_adam_whatever_the_decay(
    decay: Decay, share: float, maximize: bool
) -> None:
    """And whichever way; decoupled decay is by Muon's own rate, of which Adam has a share."""
    around: dict[str, Any] = {"decay": decay, "maximize": maximize}
    muon = Muon(lr=0.25, adam_lr_scale=0.5, adam_epsilon=0.001, adam_weight_decay=0.125, **around)
    adam = Adam(
        lr=0.125, beta1=muon.adam_beta1, beta2=muon.adam_beta2, epsilon=0.001,
        epsilon_at=Epsilon.HAT,
        weight_decay=0.125 / share, **around,
    )  # fmt: skip
    start, gradients = streams.start(len(SCALES)) * 64, streams.gradients("spread", 6, SCALES)
    assert hold(muon, start, gradients, couplings.truth(adam, start, gradients))


def value(field: "dataclasses.Field[Any]", one: float, other: float) -> Any:
    """A hyperparameter: its default, zero where that may be, or anything in its interval, by two
    numbers below 1.
    """
    if "choices" in field.metadata:
        return field.metadata["choices"][int(other * len(field.metadata["choices"]))]
    interval = field.metadata["interval"]
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    if "whole" in field.metadata:
        return int(low + other * 4)
    if one < 0.2 or high <= 0:
        return field.default
    if one < 0.3 and low == 0 and interval[0] == "[" and field.name not in ("lr", "epsilon"):
        return 0.0
    if high <= 1:
        return (
            low + (high - low) * (other if one < 0.6 else 1 - 10 ** (-3 * other))
            if other
            else field.default
        )
    return (
        max(low, 2.0**-17)
        * (min(high, 1.0 if field.name == "lr" else 16.0) / max(low, 2.0**-17)) ** other
    )


def drawn(kind: type[Rule]) -> Iterator[Rule]:
    """Rules of a kind, any of whose hyperparameters go together."""
    fields = dataclasses.fields(kind)
    for seed in itertools.count(1):
        ones, others = streams.uniform(2 * len(fields), seed).reshape(2, -1)
        try:
            yield kind(
                **{
                    f.name: value(f, *u)
                    for f, *u in zip(fields, ones.tolist(), others.tolist(), strict=True)
                }
            )
        except ValueError:  # such as nesterov and dampening
            continue


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_any_hyperparameters_follow_the_equation(kind: type[Rule]) -> None:
    """Drawn at random, on weights and gradients of several sizes; most with limits that a wrong
    rule would not keep.
    """
    sharp = 0
    for index, rule in enumerate(itertools.islice(drawn(kind), DRAWS)):
        size, steep = ((1, 1), (1024, 64), (64, 1 / 64))[index % 3]
        start = streams.suit(rule, streams.start(len(SCALES), index) * size)
        gradients = streams.suit(rule, streams.gradients("spread", 6, SCALES, index) * steep)
        same = (
            rule.replace(dampening=0.0) if isinstance(rule, SGD) and not rule.momentum else rule
        )  # there is no buffer
        sharp += hold(rule, start, gradients, couplings.truth(same, start, gradients))
    assert sharp > DRAWS / 2, f"of {DRAWS} limits {sharp} are sharp"
