"""No compiler of TensorFlow changes the bits of a guarded tensor's arithmetic; and what of it no guard can hold."""

from typing import Any

import numpy as np
import pytest

from parity import streams
from parity.require import require

require("torch")  # first: the other order of imports is known to crash
tf = require("tensorflow")

import frameworks.numpy  # noqa: E402  # after require
from frameworks.tensorflow import guarded  # noqa: E402
from frameworks.tensorflow.guarded import Guarded  # noqa: E402

SIZE = 17


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_barrier_changes_no_bit(mode: str, dtype: Any) -> None:
    """Of NaN, either zero, infinity, the smallest normal and the largest number neither; at any step."""
    info = np.finfo(dtype)
    values = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, info.tiny, -info.tiny, info.max, info.min, 0.1], dtype)

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def shut(step: Any, x: Any) -> Any:
        return Guarded(x, guarded.zeros(step), "product").shut("product")

    for step in (1, 2, 10**9):
        found = shut(tf.constant(step, tf.int64), tf.constant(values)).numpy()
        assert np.array_equal(found, values, equal_nan=True)
        assert np.array_equal(np.signbit(found[1:]), np.signbit(values[1:]))


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_guarded_expressions_have_the_bits_of_numpy(mode: str) -> None:
    """Each that a compiler is known to rewrite: products that meet sums, negated, sliced and chosen ones, quotients of
    quotients and of roots."""
    draws = streams.gradients("spread", 3, np.ones(SIZE)).astype(np.float32)
    x, y, z = (np.abs(draw) + np.float32(0.1) for draw in draws)

    def expressions(xp: Any, x: Any, y: Any, z: Any) -> list[Any]:
        return [
            x * y + z, z - x * y, x * y - z, -(x * y) + z, xp.square(x) + z, x * y + y * z, (x * y)[1:] + z[:-1],
            xp.where(x > y, x * y, z) + z, xp.concat([x * y, z], -1)[:SIZE] + z, xp.reshape(x * y, (-1,)) + z,
            x / (y / z), (x / y) / z, x / xp.sqrt(y), xp.sqrt(x) / xp.sqrt(y), 1.0 - x * y, x + 2.0 * y,
        ]  # fmt: skip

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def compiled(step: Any, *given: Any) -> Any:
        zeros = guarded.zeros(step)
        return [told.tensor for told in expressions(guarded, *(Guarded(tensor, zeros) for tensor in given))]

    found = compiled(tf.constant(3, tf.int64), *map(tf.constant, (x, y, z)))
    expected = expressions(frameworks.numpy.namespace, x, y, z)
    different = [i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if not np.array_equal(a, b.numpy())]
    assert not different


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_products_of_three_keep_their_order(mode: str) -> None:
    """Grappler takes a number's other factor first where names of operations sort so, as with the tenth of them."""
    *xs, y = streams.gradients("spread", 13, np.ones(SIZE)).astype(np.float32)

    @tf.function(jit_compile=mode == "xla", autograph=False)
    def compiled(step: Any, number: Any, *given: Any) -> Any:
        zeros = guarded.zeros(step)
        number, *xs, y = (Guarded(tensor, zeros) for tensor in (number, *given))
        return [((number * x) * y).tensor for x in xs]

    found = compiled(tf.constant(3, tf.int64), tf.constant(0.1), *map(tf.constant, (*xs, y)))
    assert [told.numpy().tolist() for told in found] == [((np.float32(0.1) * x) * y).tolist() for x in xs]


def test_subnormal_numbers_are_flushed_in_tensorflow_alone() -> None:
    """Why equality is claimed for normal numbers: half the smallest of them is 0 here, and not in NumPy."""
    half = np.array([np.finfo(np.float32).tiny], np.float32)
    assert (half * np.float32(0.5))[0] > 0
    for mode in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        assert float(mode(lambda x: x * 0.5)(tf.constant(half))[0]) == 0
