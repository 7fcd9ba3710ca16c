"""The ruler is tested: bounds, distances and verdicts, with cases that must fail."""

import numpy as np
import pytest

from samestep.parity.measure import bounded, limits, streams
from samestep.parity.measure.bounded import ROUNDOFF, Bounded
from samestep.parity.measure.verdict import Verdict, judge_tensor, paths
from samestep.reference import SGD, Adagrad, sums

pytestmark = pytest.mark.rung(1)

ONE = np.ones(1)


def test_bound_covers_every_rounding_of_a_product_chain() -> None:
    """Float32 arithmetic stays within the bound that was computed for it, element by element."""
    x, y = streams.gradients("spread", 2, np.ones(1000)).astype(np.float32)
    exact = (x.astype(np.float64) * y + x) / (np.abs(y.astype(np.float64)) + 1)
    actual = (x * y + x) / (np.abs(y) + np.float32(1))
    bounded = (Bounded(x, 0.0, "float32") * y + x) / (Bounded(np.abs(y), 0.0, "float32") + 1)
    gap = np.abs(actual - exact)
    assert (gap <= bounded.error).all()
    assert (gap > bounded.error / 100).any(), "a bound a hundred times too wide is no bound"


@pytest.mark.parametrize("size", [1, 2, 3, 97, 1000])
def test_bound_of_a_sum_covers_the_worst_order_and_is_reached_by_it(size: int) -> None:
    """One number, and many that are each lost when added to it one by one, but not when added up
    first.
    """
    lost = np.full(size, ROUNDOFF["float32"], np.float32)
    lost[0] = 1
    exact, worst = lost.astype(np.float64).sum(), np.cumsum(lost, dtype=np.float32)[-1]
    total = bounded.namespace("float64").total(Bounded(lost, 0.0, "float32"), -1)
    assert (total.value, total.shape) == (exact, (1,))
    assert exact - worst <= total.error <= (exact - worst) * (1 + 2 * size * ROUNDOFF["float32"])


def test_sum_in_one_order_tells_a_matrix_from_its_transpose() -> None:
    """So the corner of equal norms (``truth.corners``) has something to find."""
    x = streams.gradients("spread", 1, np.ones(33 * 17)).astype(np.float32).reshape(33, 17)
    assert sums.total(x.reshape(-1), np) != sums.total(x.T.reshape(-1), np)


def test_bound_of_an_exact_zero_is_zero() -> None:
    """What cannot round cannot differ."""
    zero = Bounded(np.zeros(3), 0.0, "float32")
    assert ((zero * 5 + zero).error == 0).all()


def test_bound_is_infinite_where_the_divisor_may_be_zero() -> None:
    """An unbounded quotient is never called bounded."""
    assert (ONE / Bounded(ONE * 1e-9, 1e-9)).error == np.inf


def test_cancellation_keeps_its_absolute_error() -> None:
    """A difference of equals carries the errors of both."""
    assert (Bounded(ONE, 1e-3) - Bounded(ONE, 1e-3)).error >= 2e-3 * ONE


@pytest.mark.parametrize("rule", [SGD(momentum=0.9), Adagrad()], ids=repr)
def test_limits_shrink_with_the_roundoff(rule: SGD | Adagrad) -> None:
    """Float64 is held to 2**29 times less than float32, give or take what squares lose to
    underflow.
    """
    start, gradients = streams.start(), streams.gradients("spread", 20)
    wide, narrow = (
        limits.of_tensor(rule, start, gradients, dtype) for dtype in ("float32", "float64")
    )
    assert (wide[narrow > 0] / narrow[narrow > 0] > 2**27).all()


def one_step(expected: float, actual: float, bound: float) -> Verdict:
    return judge_tensor(
        np.zeros(1), np.array([[expected]]), np.array([[actual]]), np.array([[bound]])
    )


def test_verdict_holds_up_to_the_limit_and_not_beyond() -> None:
    """Four bounds are allowed, the next number is not."""
    limit = limits.SAFETY * 2.0**-10
    assert one_step(1.0, 1.0 + limit, 2.0**-10).holds
    assert not one_step(1.0, np.nextafter(1.0 + limit, 2), 2.0**-10).holds


def test_nothing_may_differ_where_nothing_can_round() -> None:
    """A bound of zero demands equality."""
    assert one_step(1.0, 1.0, 0.0).holds
    assert not one_step(1.0, np.nextafter(1.0, 2), 0.0).holds


@pytest.mark.parametrize(
    ("expected", "actual"), [(1.0, np.nan), (np.nan, 1.0), (np.inf, 1.0), (np.inf, -np.inf)]
)
def test_not_a_number_and_infinity_agree_only_with_themselves(
    expected: float, actual: float
) -> None:
    """NaN never passes for a number, however wide the limit."""
    assert one_step(expected, expected, 1.0).holds
    assert not one_step(expected, actual, 1.0).holds
    assert not one_step(expected, actual, np.inf if np.isfinite(actual) else 1.0).holds


def test_verdict_points_to_the_worst_step_and_element() -> None:
    """The place named is where the limit is exceeded most."""
    expected = np.arange(12.0).reshape(3, 4)
    actual = expected.copy()
    actual[1, 2] += 1
    actual[2, 3] += 2
    verdict = judge_tensor(np.zeros(4), expected, actual, np.full((3, 4), 2.0**-6))
    assert (verdict.step, verdict.element, verdict.values) == (3, 3, (11.0, 13.0))
    assert verdict.distance == 2 / 11  # eleven is how far the last element has gone


@pytest.mark.parametrize("shape", [(0, 3), (2, 2)])
def test_comparison_of_nothing_or_of_other_shapes_is_refused(shape: tuple[int, int]) -> None:
    """An empty comparison would hold; so it is an error."""
    with pytest.raises(ValueError, match="must be equal and not empty"):
        judge_tensor(
            np.zeros(shape[1]), np.zeros(shape), np.zeros((shape[0], 3)), np.zeros((shape[0], 3))
        )


def test_path_is_the_way_travelled_not_the_distance_from_the_start() -> None:
    """To and fro counts twice."""
    assert paths(np.zeros(1), np.array([[1.0], [0.0], [1.0]])).tolist() == [1.0, 2.0, 3.0]


def test_path_beyond_every_number_is_infinite_and_no_warning() -> None:
    """As that of a rule whose fitted numbers let it explode."""
    course = np.array([[1e308], [-1e308], [1e308]])
    assert list(paths(np.zeros(1), course)) == [1e308, np.inf, np.inf]
    assert not judge_tensor(np.zeros(1), course, np.zeros((3, 1)), np.ones((3, 1))).holds


def test_streams_are_the_same_everywhere() -> None:
    """The draws, digit by digit: a NumPy release cannot change them."""
    assert streams.gradients("spread", 2, np.ones(2), seed=7).ravel().tolist() == [
        -0.3354339003562927,
        -0.17034368216991425,
        -1.1996533870697021,
        1.2230430841445923,
    ]


def test_unknown_stream_is_refused_by_name() -> None:
    """The error lists the streams there are."""
    with pytest.raises(ValueError, match=r"one of spread, .* got 'calm'"):
        streams.gradients("calm", 3)


def test_rates_fall_within_every_trial() -> None:
    """Without a change of rate the two momentum buffers cannot be told apart."""
    assert len(set(streams.rates(0.1, 6))) == 2
