"""Rung 1, truth: every rule computes its equation."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest

from samestep.parity.measure import bounded, cases, limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.truth import couplings, equations
from samestep.parity.truth.digits import DIGITS, mpfr, sqrt
from samestep.parity.truth.examples import (
    MUONS_ADAMS,
    SHAPES_OF_ADAFACTOR,
    SHAPES_OF_MUON,
    SHAPES_OF_MUONS_ADAM,
    STEPS,
    UNSAID,
    Example,
    of_shape,
    on_stream,
)
from samestep.reference import (
    RULES,
    Adam,
    Decay,
    Muon,
    Rule,
    dialects,
    follow,
)

pytestmark = pytest.mark.rung(1)

FIFTY_DIGITS = SimpleNamespace(
    abs=np.abs,
    sign=np.sign,
    sqrt=np.vectorize(sqrt, otypes=[object]),
    square=lambda x: x * x,
    maximum=np.maximum,
    minimum=np.minimum,
    concat=np.concatenate,
    matmul=np.matmul,
    transpose=np.transpose,
    reshape=np.reshape,
    ones=lambda shape, dtype: np.full(shape, mpfr(1), dtype),
    zeros_like=lambda x: np.full(np.shape(x), mpfr(0), object),
    integer_power=lambda base, exponent: mpfr(base) ** int(exponent),
    power=lambda base, exponent: mpfr(base) ** exponent,
    where=lambda condition, yes, no: (
        np.where(condition, yes, no) if np.ndim(condition) else yes if condition else no
    ),
)


@pytest.mark.parametrize("stream", streams.PATTERNS)
@pytest.mark.parametrize("call", cases.CALLS)
def test_rule_follows_its_equation(call: str, stream: str) -> None:
    """No element is farther from 50-digit arithmetic than rounding in float32 or float64 allows."""
    rule = dialects.read(call)
    example = on_stream(rule, stream)
    for dtype in ("float32", "float64"):
        assert_follows(example, dtype)


def assert_follows(example: Example, dtype: str = "float64") -> None:
    """No element is farther from the exact trajectory than rounding in ``dtype`` allows."""
    rule, start, gradients, rates = example.rule, example.start, example.gradients, example.rates
    bounds = limits.of_tensor(rule, start, gradients, dtype, rates)
    actual = run_tensor(rule, start, gradients, dtype, rates)
    verdict = judge_tensor(start, example.truth, actual, bounds)
    assert verdict.holds, f"{rule!r} on {start.shape} in {dtype}: {verdict}"


def with_fifty_digits(rule: Rule) -> Rule:
    """The same rule, its hyperparameters as 50-digit numbers."""
    exact = copy.copy(rule)
    for name, value in rule.to_dict().items():
        if isinstance(value, float):
            object.__setattr__(exact, name, mpfr(value))
    return exact


@pytest.mark.parametrize("call", cases.CALLS)
def test_rule_runs_on_fifty_digits(call: str) -> None:
    """On 50-digit numbers the rule equals its equation, up to rounding in the fiftieth digit."""
    rule = dialects.read(call)
    exact = with_fifty_digits(rule)
    example = on_stream(rule, "spread")
    start, gradients, rates = example.start, example.gradients, example.rates
    theta, state = couplings.exact(start), None
    digits = 10 ** mpfr(-DIGITS) / mpfr(
        bounded.ROUNDOFF["float64"]
    )  # how much finer the rounding is
    bounds = limits.of_tensor(rule, start, gradients, "float64", rates)
    for t in range(1, STEPS + 1):
        state = exact.start(theta, FIFTY_DIGITS) if state is None else state
        c = exact.coefficients(mpfr(t), mpfr(rates[t - 1]), FIFTY_DIGITS)
        theta, state = exact.update(
            theta, couplings.exact(gradients[t - 1]), state, c, FIFTY_DIGITS
        )
        limit = limits.SAFETY * couplings.exact(bounds[t - 1]) * digits
        beyond = np.argwhere(np.abs(theta - example.fifty_digits[t - 1]) > limit).tolist()
        assert not beyond, f"{rule!r} leaves its equation at step {t} in elements {beyond}"


FIRST_STEPS = [  # (call, gradient, how far the first step goes), worked by hand from the papers
    ("pytorch:SGD(lr=0.5)", 3.0, 1.5),
    (
        "pytorch:SGD(lr=0.5, momentum=0.5, dampening=0.5)",
        3.0,
        1.5,
    ),  # the first step is not dampened
    ("pytorch:SGD(lr=0.5, momentum=0.5, nesterov=True)", 4.0, 3.0),  # 0.5 (4 + 0.5 * 4)
    (
        "keras:SGD(learning_rate=0.5, momentum=0.5, nesterov=True)",
        4.0,
        3.0,
    ),  # 0.5 * 4 + 0.5 (0.5 * 4)
    ("pytorch:Adagrad(lr=0.5, eps=1.0)", 3.0, 0.375),  # 0.5 * 3 / (sqrt(9) + 1)
    (
        "keras:Adagrad(learning_rate=0.5, initial_accumulator_value=5.0, epsilon=2.0)",
        3.0,
        0.375,
    ),  # sqrt(9 + 5 + 2)
    ("article:Adagrad(lr=0.5, eps=7.0)", 3.0, 0.375),  # sqrt(9 + 7)
    (
        "pytorch:Adadelta(lr=0.5, rho=0.5, eps=4.0)",
        4.0,
        0.5 * 2 / math.sqrt(12) * 4,
    ),  # sqrt(4) / sqrt(8 + 4)
    ("pytorch:RMSprop(lr=0.5, alpha=0.75, eps=1.0)", 6.0, 0.75),  # 0.5 * 6 / (sqrt(9) + 1)
    ("keras:RMSprop(learning_rate=0.5, rho=0.75, epsilon=7.0)", 6.0, 0.75),  # sqrt(9 + 7)
    ("pytorch:RMSprop(lr=0.5, alpha=0.5, eps=1.0, centered=True)", 6.0, 0.75),  # sqrt(18 - 9) + 1
    (
        "pytorch:Adam(lr=0.5, betas=(0.5, 0.75), eps=1.0)",
        3.0,
        0.375,
    ),  # m = v = corrected: 0.5 * 3 / (3 + 1)
    (
        "keras:Adam(learning_rate=0.5, beta_1=0.5, beta_2=0.75, epsilon=1.5)",
        3.0,
        0.25,
    ),  # 0.5 * 3 / (3 + 1.5 / 0.5)
    (
        "pytorch:AdamW(lr=0.5, betas=(0.5, 0.75), eps=1.0, weight_decay=0.5)",
        3.0,
        0.625,
    ),  # 0.25 of theta = 1 more
    ("keras:Adafactor(learning_rate=0.5)", 3.0, 0.5),  # v = g^2 at first: half of theta's own size
    ("pytorch:Adafactor(lr=4.0, eps=(6.0, 0.5))", 3.0, 0.5),  # 3 / 6; lr is 1 at most
    ("keras:Lamb(learning_rate=0.5)", -3.0, -0.5),  # half of theta's own length, uphill
]


@pytest.mark.parametrize(("call", "gradient", "distance"), FIRST_STEPS)
def test_first_step_is_the_one_worked_by_hand(call: str, gradient: float, distance: float) -> None:
    """From theta = 1 the first step goes as far as the arithmetic on paper says, up to rounding."""
    rule, start = dialects.read(call), np.ones(1)
    ((theta, _),) = follow(rule, start, [np.full(1, gradient)], np)
    bound = limits.of_tensor(rule, start, np.full((1, 1), gradient), "float64")
    verdict = judge_tensor(start, np.array([[1 - distance]]), theta[None], bound)
    assert verdict.holds, f"{rule!r}: {verdict}"


PLACES = {  # of theta = 1 after three steps along gradients of 1, by the kind of weight decay
    Decay.DECOUPLED: (0.85, 0.7075, 0.572125),  # 0.95 theta - 0.1
    Decay.AFTER: (0.855, 0.71725, 0.5863875),  # 0.95 (theta - 0.1)
}


@pytest.mark.parametrize("decay", PLACES, ids=repr)
def test_decay_comes_before_the_step_or_after_it(decay: Decay) -> None:
    """AdamW is the first, an old AdamW of Hugging Face's the second; each step is 0.1 long."""
    rule = Adam(lr=0.1, weight_decay=0.5, decay=decay, epsilon=0.0)
    start, gradients = np.ones(1), np.ones((3, 1))
    actual = run_tensor(rule, start, gradients, "float64")
    bounds = limits.of_tensor(rule, start, gradients, "float64")
    verdict = judge_tensor(start, np.array(PLACES[decay])[:, None], actual, bounds)
    assert verdict.holds, verdict


def test_adam_without_bias_correction_starts_with_long_steps() -> None:
    """BERT's, along gradients of 1: the digits of the first three steps and of the tenth."""
    rule = Adam(lr=1.0, epsilon=1e-6, bias_correction=False)
    thetas = run_tensor(rule, np.zeros(1), np.ones((10, 1)), "float64").ravel()
    steps = -np.diff(thetas, prepend=0.0)
    assert [round(steps[t - 1], 5) for t in (1, 2, 3, 10)] == [3.16218, 4.24950, 4.95014, 6.52782]


@pytest.mark.parametrize("rule", UNSAID, ids=repr)
def test_rule_that_no_call_means_follows_its_equation(rule: Rule) -> None:
    """Fields combine freely, whatever the dialects can say."""
    assert_follows(on_stream(rule, "spread"))


ADAFACTOR = [call for call in cases.CALLS if "Adafactor" in call]


@pytest.mark.parametrize("shape", SHAPES_OF_ADAFACTOR)
@pytest.mark.parametrize("call", ADAFACTOR)
def test_factors_are_those_of_the_last_two_dimensions(call: str, shape: tuple[int, ...]) -> None:
    """A vector is not factored, three dimensions are a row of matrices."""
    assert_follows(of_shape(dialects.read(call), shape))


@pytest.mark.parametrize("shape", SHAPES_OF_MUON)
@pytest.mark.parametrize("call", cases.MATRICES)
def test_muon_moves_tall_and_wide_matrices(call: str, shape: tuple[int, ...]) -> None:
    """Down to one row, or one column, whose one singular value is its length."""
    assert_follows(of_shape(dialects.read(call), shape))


@pytest.mark.parametrize("shape", SHAPES_OF_MUONS_ADAM)
@pytest.mark.parametrize(("rule", "equation"), MUONS_ADAMS, ids=["DECOUPLED", "AFTER"])
def test_muon_moves_by_adam_what_is_no_matrix(
    rule: Rule, equation: Rule, shape: tuple[int, ...]
) -> None:
    """At a share of the rate, with epsilon-hat; decay is by the rate itself."""
    assert_follows(of_shape(rule, shape, equation))


def test_muon_makes_singular_values_about_one() -> None:
    """Between 0.5 and 1.5, K. Jordan says, whatever they were."""
    left, right = (np.linalg.qr(streams.normal((3, 3), seed))[0] for seed in (1, 2))
    ((theta, _),) = follow(
        Muon(lr=1.0), np.zeros((3, 3)), [left @ np.diag([1, 0.1, 0.01]) @ right], np
    )
    values = np.linalg.svd(theta, compute_uv=False)
    assert ((values > 0.5) & (values < 1.5)).all()


def test_rows_and_columns_of_zeros_stay_where_they_are() -> None:
    """Their product is far below the smallest float32, but it is never formed: one element moves,
    three stay.
    """
    rule, gradient = (
        dialects.read("keras:Adafactor(learning_rate=0.5, clip_threshold=2.0)"),
        np.zeros((2, 2), "f4"),
    )
    gradient[0, 0] = 1
    ((theta, _),) = follow(rule, np.ones((2, 2), np.float32), [gradient], np)
    assert theta.tolist() == [[0.5, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    "t", [1, 100, 255, 256, 2000, 2**16 - 1, 2**16, 10**6, 2**24 + 1, 2**31 + 1]
)
def test_bias_corrections_are_true_at_every_step(t: int) -> None:
    """Against 50 digits, within the rounding of the squares and products of a power, far beyond any
    trial's length.
    """
    first, second = (1 - mpfr(beta) ** t for beta in (0.9, 0.999))
    truth = {"step": mpfr(0.1) / first, "stretch": 1 / sqrt(second)}
    doubles = Adam(lr=0.1).coefficients(t, 0.1)
    analysed = Adam(lr=0.1).coefficients(t, bounded.Bounded(0.1), bounded.namespace("float64"))
    for name, expected in truth.items():
        gap, limit = (
            abs(getattr(doubles, name) - expected),
            limits.SAFETY * float(getattr(analysed, name).error),
        )
        assert gap <= limit, f"{name} at step {t} is {gap} off, limit {limit}"


@pytest.mark.parametrize("call", cases.CALLS)
def test_follow_takes_the_steps_of_the_numpy_optimizer(call: str) -> None:
    """The barest loop counts and keeps state like the adapter."""
    rule = dialects.read(call)
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", 5)),
    )
    followed = [theta for theta, _ in follow(rule, start, gradients, np)]
    np.testing.assert_array_equal(followed, run_tensor(rule, start, gradients, "float64"))


def test_every_rule_has_an_equation_and_a_case() -> None:
    """No rule of the catalogue escapes the first rung."""
    assert (
        {*equations.STEPS, *couplings.STEPS}
        == set(RULES)
        == {type(dialects.read(call)) for call in cases.CALLS}
    )
    assert not equations.STEPS.keys() & couplings.STEPS.keys()


def test_update_changes_none_of_its_arguments() -> None:
    """Rules are pure: theta, gradient and state are as they were."""
    for call in cases.CALLS:
        rule = dialects.read(call)
        theta, gradient = (
            streams.suit(rule, streams.start()),
            streams.suit(rule, streams.gradients("spread", 1)[0]),
        )
        _, state = rule.update(
            theta, gradient, rule.start(theta, np), rule.coefficients(1, rule.lr), np
        )
        before = [
            theta.copy(),
            gradient.copy(),
            {name: array.copy() for name, array in state.items()},
        ]
        rule.update(theta, gradient, state, rule.coefficients(2, rule.lr), np)
        np.testing.assert_equal([theta, gradient, state], before)
