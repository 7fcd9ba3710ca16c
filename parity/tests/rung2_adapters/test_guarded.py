"""No compiler of TensorFlow changes the bits of a guarded tensor's arithmetic; and what of it no
guard can hold.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import tf

import samestep.frameworks.numpy
from samestep.frameworks.tensorflow import guarded
from samestep.frameworks.tensorflow.guarded import Guarded
from samestep.parity.measure import streams
from samestep.reference import scalars

pytestmark = pytest.mark.rung(2)

SIZE = 17
BASES = (0.9, 0.999, 0.95)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_barrier_changes_no_bit(mode: str, dtype: Any) -> None:
    """Of NaN, either zero, infinity, the smallest normal and the largest number neither; at any
    step.
    """
    info = np.finfo(dtype)
    values = np.array(
        [np.nan, 0.0, -0.0, np.inf, -np.inf, info.tiny, -info.tiny, info.max, info.min, 0.1], dtype
    )

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def shut(step: Any, x: Any) -> Any:
        return Guarded(x, guarded.zeros(step), "product").behind_barrier("product")

    for step in (1, 2, 10**9):
        found = shut(tf.constant(step, tf.int64), tf.constant(values)).numpy()
        assert np.array_equal(found, values, equal_nan=True)
        assert np.array_equal(np.signbit(found[1:]), np.signbit(values[1:]))


OPERATORS: tuple[Callable[[Any, Any], Any], ...] = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.gt,
    operator.ge, operator.lt,
    operator.le, operator.eq,
)  # fmt: skip


@pytest.mark.parametrize("apply", OPERATORS, ids=lambda apply: apply.__name__)
def test_operators_are_those_of_tensors(apply: Callable[[Any, Any], Any]) -> None:
    """On greater, equal and lesser numbers, whether the other is guarded, a tensor or a number."""
    x, y, zeros = tf.constant([1.0, 2.0, 3.0]), tf.constant([3.0, 2.0, 1.0]), guarded.zeros(1)
    for other in (y, 2.0):
        expected = apply(x, other).numpy().tolist()
        assert apply(Guarded(x, zeros), other).tensor.numpy().tolist() == expected
    assert (
        apply(Guarded(x, zeros), Guarded(y, zeros)).tensor.numpy().tolist()
        == apply(x, y).numpy().tolist()
    )
    if apply is not operator.pow:  # nothing raises a number to a tensor
        assert (
            apply(2.0, Guarded(x, zeros)).tensor.numpy().tolist() == apply(2.0, x).numpy().tolist()
        )


def test_both_of_two_conditions_hold() -> None:
    """Guarded or not."""
    x, y, zeros = (
        tf.constant([True, True, False, False]),
        tf.constant([True, False, True, False]),
        guarded.zeros(1),
    )
    for other in (y, Guarded(y, zeros)):
        assert (Guarded(x, zeros) & other).tensor.numpy().tolist() == [True, False, False, False]


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_guarded_expressions_have_the_bits_of_numpy(mode: str) -> None:
    """Each that a compiler is known to rewrite: products that meet sums, negated, sliced and chosen
    ones, quotients of quotients and of roots."""
    draws = streams.gradients("spread", 3, np.ones(SIZE)).astype(np.float32)
    x, y, z = (np.abs(draw) + np.float32(0.1) for draw in draws)

    def expressions(xp: Any, x: Any, y: Any, z: Any) -> list[Any]:
        return [
            x * y + z, z - x * y, x * y - z, -(x * y) + z, xp.square(x) + z, x * y + y * z,
            (x * y)[1:] + z[:-1],
            xp.where(x > y, x * y, z) + z, xp.concat([x * y, z], -1)[:SIZE] + z,
            xp.reshape(x * y, (-1,)) + z,
            x / (y / z), (x / y) / z, x / xp.sqrt(y), xp.sqrt(x) / xp.sqrt(y), 1.0 - x * y,
            x + 2.0 * y,
        ]  # fmt: skip

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def compiled(step: Any, *given: Any) -> Any:
        zeros = guarded.zeros(step)
        return [
            told.tensor
            for told in expressions(guarded, *(Guarded(tensor, zeros) for tensor in given))
        ]

    found = compiled(tf.constant(3, tf.int64), *map(tf.constant, (x, y, z)))
    expected = expressions(samestep.frameworks.numpy.namespace, x, y, z)
    different = [
        i
        for i, (a, b) in enumerate(zip(expected, found, strict=True))
        if not np.array_equal(a, b.numpy())
    ]
    assert not different


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_powers_meet_sums_with_the_bits_of_the_host(mode: str) -> None:
    """What bias correction is made of, at every step of the first 300."""

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def compiled(steps: Any) -> Any:
        t = Guarded(steps, guarded.zeros(steps[0]))
        return [(1.0 - guarded.integer_power(base, t)).tensor for base in BASES]

    found = compiled(tf.range(1.0, 300.0, dtype=tf.float64))
    for base, told in zip(BASES, found, strict=True):
        assert told.numpy().tolist() == [
            1.0 - scalars.integer_power(base, t) for t in range(1, 300)
        ]


def test_what_is_made_of_guarded_tensors_is_guarded() -> None:
    """Of a list of them, too; what is made of others is as it is elsewhere."""
    x, zeros = tf.ones(3), guarded.zeros(1)
    for made in (
        guarded.concat([Guarded(x, zeros), Guarded(x, zeros)], 0),
        guarded.abs(Guarded(x, zeros)),
    ):
        assert isinstance(made, Guarded)
    assert guarded.concat([x, x], 0).shape == (6,)


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_products_of_three_keep_their_order(mode: str) -> None:
    """Grappler takes a number's other factor first where names of operations sort so, as with the
    tenth of them.
    """
    *xs, y = streams.gradients("spread", 13, np.ones(SIZE)).astype(np.float32)

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def compiled(step: Any, number: Any, *given: Any) -> Any:
        zeros = guarded.zeros(step)
        number, *xs, y = (Guarded(tensor, zeros) for tensor in (number, *given))
        return [((number * x) * y).tensor for x in xs]

    found = compiled(tf.constant(3, tf.int64), tf.constant(0.1), *map(tf.constant, (*xs, y)))
    assert [told.numpy().tolist() for told in found] == [
        ((np.float32(0.1) * x) * y).tolist() for x in xs
    ]


def test_subnormal_numbers_are_flushed_in_tensorflow_alone() -> None:
    """Why equality is claimed for normal numbers: half the smallest of them is 0 here, and not in
    NumPy.
    """
    half = np.array([np.finfo(np.float32).tiny], np.float32)
    assert (half * np.float32(0.5))[0] > 0
    for mode in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        assert float(mode(lambda x: x * 0.5)(tf.constant(half))[0]) == 0
