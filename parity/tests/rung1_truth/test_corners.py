"""Rung 1, what trials by chance pass over: states that no step shows, thresholds, the smaller product, refusals."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from samestep.frameworks.numpy import Optimizer
from samestep.parity.measure import cases, limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.truth.digits import mpfr
from samestep.reference import (
    ASGD,
    Adafactor,
    Adagrad,
    Epsilon,
    Muon,
    RAdam,
    RMSprop,
    ScheduleFree,
    dialects,
    follow,
    scalars,
)
from samestep.reference.matrices import orthogonalized

pytestmark = pytest.mark.rung(1)

STEPS = 8


def test_average_of_asgd_is_the_mean_of_where_it_has_been() -> None:
    """From step t0 + 2 on, and until then theta itself; in whole numbers of eighths, which nothing rounds."""
    rule, start = ASGD(lr=0.125, lambd=0.0, t0=2.0), np.array([4.0, -2.0, 2.0**-60])  # the last is lost beside one
    steps = list(follow(rule, start, [np.array([1.0, 1.0, 0.0])] * 8, np))
    for theta, state in steps[:4]:
        np.testing.assert_array_equal(state["a"], theta)
    for t in (4, 5, 7):  # of 1, 2, 4 places: the mean of 2^k of them is exact
        been = np.array([theta for theta, _ in steps[3:t]])
        np.testing.assert_array_equal(steps[t - 1][1]["a"], been.mean(axis=0))


def test_centred_mean_is_of_the_gradients_with_their_sign() -> None:
    """Its square, which is all that a step shows, would be that of the opposite mean, too."""
    gradients = np.array([[4.0], [-8.0], [16.0]])
    *_, (_, state) = follow(RMSprop(rho=0.5, centered=True), np.ones(1), gradients, np)
    shares = [Fraction(1, 8), Fraction(1, 4), Fraction(1, 2)]
    assert state["m"].tolist() == [sum(share * int(g) for share, (g,) in zip(shares, gradients, strict=True))]


@pytest.mark.parametrize("call", cases.CALLS)
def test_rule_keeps_what_it_needs_and_no_more(call: str) -> None:
    """The state that it starts with is the state that every step gives, and each part of it comes to change."""
    rule = dialects.read(call)
    start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("spread", STEPS))
    begun = rule.start(start, np)
    states = [state for _, state in follow(rule, start, gradients, np)]
    assert all(state.keys() == begun.keys() for state in states)
    shapes = {name: array.shape for name, array in begun.items()}
    assert all({name: array.shape for name, array in state.items()} == shapes for state in states)
    assert all(any(not np.array_equal(state[name], begun[name]) for state in states) for name in begun)


def test_warm_up_ends_at_the_rate_itself() -> None:
    """49 times the inverse of 49 is not one."""
    assert ScheduleFree(warmup=49.0).coefficients(49, 0.1).lr == 0.1
    assert ScheduleFree(warmup=49.0).coefficients(48, 0.1).lr < 0.1


def test_length_of_five_is_not_enough_for_radam() -> None:
    """Of 0.75 with 0.75^t taken for a half at t = 1, which makes it five exactly: 2 / 0.25 - 1 - 2 (1/2) / (1/2)."""
    xp = SimpleNamespace(
        integer_power=lambda base, t: 0.5, sqrt=np.sqrt, where=lambda condition, yes, no: yes if condition else no
    )
    assert RAdam(beta2=0.75).coefficients(1, 0.5, xp).stretch == 0
    assert RAdam(beta2=0.78125).coefficients(1, 0.5, xp).stretch > 0


def test_floor_lies_under_the_mean_of_the_factors() -> None:
    """1/256 is below 1/64, so V = (1/256)^2 64 = (1/32)^2, U = 2: a step of half of theta's size, twice."""
    rule = Adafactor(lr=0.5, epsilon1=1 / 64, epsilon1_at=Epsilon.FLOOR, clip=4.0)
    start, gradient = np.ones((2, 2)), np.full((1, 2, 2), 1 / 16)
    actual = run_tensor(rule, start, gradient, "float64")
    verdict = judge_tensor(start, np.zeros((1, 2, 2)), actual, limits.of_tensor(rule, start, gradient, "float64"))
    assert verdict.holds, str(verdict)


def test_muon_s_adam_has_a_share_of_its_rate() -> None:
    """It is a rule that can be used by itself."""
    assert Muon(lr=0.5, adam_lr_scale=0.25).fallback.lr == 0.125


def test_the_smaller_of_both_products_is_taken() -> None:
    """A tall matrix is turned first: its columns are multiplied with each other, not its rows."""
    sizes = []

    def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sizes.append((a @ b).shape)
        return a @ b

    xp = SimpleNamespace(matmul=matmul, transpose=np.transpose)
    for shape in ((5, 2), (2, 5), (2, 2)):
        assert orthogonalized(np.ones(shape), 2.0, -1.5, 0.5, 1, xp).shape == shape
    assert sizes == [(2, 2), (2, 2), (2, 5)] * 2 + [(2, 2)] * 3


REFUSED = [  # parameters, gradients, what the NumPy optimizer says
    ([np.ones(2, int)], None, "parameter 0 must have a real floating dtype, got int64"),
    ([np.ones(2), np.ones(2, complex)], None, "parameter 1 must have a real floating dtype, got complex128"),
    ([np.ones(2)], [np.ones(3)], "gradient 0 must have the parameter's shape"),
    ([np.ones(2)], [np.ones(2, np.float32)], "gradient 0 must have the parameter's shape"),
    ([np.ones(2)], [], "zip"),
]


@pytest.mark.parametrize(("parameters", "gradients", "told"), REFUSED)
def test_numpy_optimizer_refuses_what_does_not_fit(
    parameters: list[np.ndarray], gradients: list[np.ndarray] | None, told: str
) -> None:
    """By name, and nothing has moved."""
    with pytest.raises(ValueError, match=told):
        Optimizer(parameters, RMSprop()).step(gradients or [])
    assert all((parameter == 1).all() for parameter in parameters)


def test_numpy_optimizer_leaves_alone_what_has_no_gradient() -> None:
    """Its step number does not advance."""
    early, late = np.ones(3), np.ones(3)
    optimizer = Optimizer([early, late], RMSprop())
    optimizer.step([np.ones(3), None])
    assert (early < 1).all()
    assert late.tolist() == [1.0] * 3
    optimizer.step([np.ones(3), np.ones(3)])
    assert optimizer.t == [2, 1]


def test_power_of_a_few_quarters_is_of_square_roots() -> None:
    """Which are exactly specified; of nine quarters and of other numbers it is the platform's."""
    for base in np.linspace(0.01, 3, 99).tolist():
        root, quarter = math.sqrt(base), math.sqrt(math.sqrt(base))
        roots = [1.0, quarter, root, root * quarter, base, base * quarter, base * root, base * root * quarter]
        assert [scalars.power(base, quarters / 4) for quarters in range(9)] == [*roots, base * base]
    assert [scalars.quarters(2.0, exponent, math.sqrt) for exponent in (2.25, -0.25, 0.3)] == [None] * 3
    assert scalars.power(2.0, 0.3) == 2.0**0.3
    assert scalars.ratio(3, 8) == 0.375


def test_powers_of_equal_numbers_are_each_of_their_own_kind() -> None:
    """Only those of doubles are kept."""
    cubes = [scalars.integer_power(half, 3) for half in (mpfr(0.5), np.float64(0.5), 0.5)]
    assert [(type(cube), cube) for cube in cubes] == [(kind, 0.125) for kind in (mpfr, np.float64, float)]


@pytest.mark.parametrize("call", cases.CALLS)
def test_step_in_half_precision_is_one_of_float32_rounded_once(call: str) -> None:
    """Parameters and state alike; nothing between is rounded."""
    rule = dialects.read(call)
    start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("spread", STEPS))
    half = Optimizer([start.astype(np.float16)], rule)
    for gradient in gradients.astype(np.float16):
        single = Optimizer([half.parameters[0].astype(np.float32)], rule)
        single.t = list(half.t)
        single.state = [{name: array.astype(np.float32) for name, array in half.state[0].items()}]
        half.step([gradient])
        single.step([gradient.astype(np.float32)])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(half.parameters[0], single.parameters[0].astype(np.float16))
            for name, array in half.state[0].items():
                np.testing.assert_array_equal(array, single.state[0][name].astype(np.float16))


def test_state_of_half_precision_is_rounded_from_float32() -> None:
    """As every framework does: this number is a tie between two of float16 only after float32 has rounded it."""
    optimizer = Optimizer([np.ones(1, np.float16)], Adagrad(initial_accumulator=1 + 2.0**-11 + 2.0**-30))
    assert optimizer.state[0]["G"].tolist() == [1.0]
