"""Clipping: against the natives, and with equal bits among ours."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.frameworks.pytorch import optimizer as module
from samestep.frameworks.tensorflow import optimizer as in_keras_module
from samestep.parity.measure import bounded, streams
from samestep.parity.measure.bounded import ROUNDOFF, Bounded
from samestep.parity.tests.support.parts import CLIPPINGS, flat, holds
from samestep.reference.dialects import Call, parts
from samestep.reference.parts import ClipGlobalNorm, ClipNorm, Clipping, ClipValue
from samestep.reference.parts import clipping as clipping_module

pytestmark = pytest.mark.rung(2)


def gradients(dtype: str = "float32", scale: float = 1.0) -> list[np.ndarray]:
    """Tensors of several shapes, their elements of several sizes."""
    sizes = {(3, 7): 1.0, (): 0.5, (1,): 2.0, (257,): 0.1}
    drawn = (streams.normal((math.prod(shape), 1), seed).reshape(shape) * size for seed,
     (shape, size) in
             enumerate(sizes.items(), start=3))  # fmt: skip
    return [np.asarray(scale * array, np.float32).astype(dtype) for array in drawn]


def in_torch_clipped(call: Call, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    params = [
        torch.nn.Parameter(torch.zeros(array.shape, dtype=torch.tensor(array).dtype))
        for array in arrays
    ]
    for param, array in zip(params, arrays, strict=True):
        param.grad = torch.tensor(array)
    getattr(torch.nn.utils, call.name)(params, **call.arguments)
    return [param.grad.numpy() for param in params]


def in_keras_clipped(arguments: dict[str, float], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What Keras' own optimizer makes of gradients: steps of SGD at rate 1, from zero, with the
    sign turned.
    """
    variables = [tf.Variable(np.zeros_like(array)) for array in arrays]
    optimizer = keras.optimizers.SGD(1.0, **arguments)
    optimizer.build(variables)
    optimizer.apply([tf.constant(array) for array in arrays])
    return [-variable.numpy() for variable in variables]


def clip_bounds(
    clipping: Clipping, arrays: Sequence[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """How far rounding can move the clipped elements, whatever the order of the sum of n squares.

    It lies within n roundings of the exact one (Higham, section 4.2; one more for the square).
    """
    dtype = str(arrays[0].dtype)

    def any_order(tensors: Sequence[Bounded], xp: Any) -> Bounded:
        squares = sum(float((tensor.value**2).sum()) for tensor in tensors)
        count = sum(tensor.value.size for tensor in tensors) + len(tensors)
        return xp.sqrt(Bounded(squares, count * ROUNDOFF[dtype] * squares, dtype))

    with monkeypatch.context() as patch:
        patch.setattr(clipping_module, "global_norm", any_order)
        found = clipping._clip(
            [Bounded(array, 0.0, dtype) for array in arrays], bounded.namespace("float64")
        )
    return np.concatenate([np.broadcast_to(one.error, one.value.shape).ravel() for one in found])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("limit", [1e-4, 0.7, 30.0])
def test_clipping_of_the_natives_is_that_of_their_dialects(
    limit: float, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch by global norm, Keras by norm and by global norm; the other's way of it is beyond the
    limit.
    """
    arrays = gradients(dtype, scale=0.001)
    pairs: list[tuple[Clipping, list[np.ndarray]]] = [
        (parts.pytorch.read_clipping("clip_grad_norm_", max_norm=limit),
         in_torch_clipped(Call("clip_grad_norm_", {"max_norm": limit}), arrays)),
        (parts.keras.read_clipping(clipnorm=limit), in_keras_clipped({"clipnorm": limit}, arrays)),
        (parts.keras.read_clipping(global_clipnorm=limit),
         in_keras_clipped({"global_clipnorm": limit}, arrays)),
    ]  # fmt: skip
    for clipping, native in pairs:
        expected = in_numpy.clipped(clipping, [array.astype(np.float64) for array in arrays])
        bound = clip_bounds(clipping, arrays, monkeypatch)
        verdict = holds(flat(expected), flat(native), bound)
        assert verdict.holds, f"{clipping}: {verdict}"
        for other, _ in pairs:
            if limit == 1e-4 and repr(other) != repr(clipping):
                wrong = in_numpy.clipped(other, [array.astype(np.float64) for array in arrays])
                assert not holds(flat(wrong), flat(native), bound).holds, (
                    f"{clipping} passes for {other}"
                )


@pytest.mark.parametrize("clipping", CLIPPINGS, ids=repr)
def test_where_nothing_came_nothing_is_clipped(clipping: Clipping) -> None:
    """No gradient at all, None, and none that has an element."""
    empty = np.zeros((0, 3), np.float32)
    assert clipping.clip([], np) == []
    assert clipping.clip([None], np) == [None]
    assert clipping.clip([empty, None], np)[0] is empty


def test_clipping_by_value_is_the_same_everywhere() -> None:
    """torch, Keras and ours, to the last bit; not-a-number stays."""
    arrays = [
        np.array([np.nan, np.inf, -np.inf, 0.3, 0.30000001, -5.0, 0.0], np.float32),
        *gradients(),
    ]
    ours = in_numpy.clipped(parts.pytorch.read_clipping("clip_grad_value_", clip_value=0.3), arrays)
    natives = (
        in_torch_clipped(Call("clip_grad_value_", {"clip_value": 0.3}), arrays),
        in_keras_clipped({"clipvalue": 0.3}, arrays),
    )
    for native in natives:
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, native, strict=True))
    assert parts.keras.read_clipping(clipvalue=0.3) == ClipValue(limit=0.3)


def test_torch_shortens_a_gradient_that_is_just_long_enough_and_keras_does_not() -> None:
    """3, 4 at the limit 5: the 1e-6 in the norm."""
    array = [np.array([3.0, 4.0])]
    assert in_torch_clipped(Call("clip_grad_norm_", {"max_norm": 5.0}), array)[0].tolist() == [
        3.0 * (5 / (5 + 1e-6)),
        4.0 * (5 / (5 + 1e-6)),
    ]
    assert in_keras_clipped({"global_clipnorm": 5.0}, array)[0].tolist() == [3.0, 4.0]
    assert flat(in_numpy.clipped(ClipGlobalNorm(limit=5.0, added=1e-6), array)).tolist() == [
        3.0 * (5 / (5 + 1e-6)),
        4.0 * (5 / (5 + 1e-6)),
    ]
    assert flat(in_numpy.clipped(ClipGlobalNorm(limit=5.0), array)).tolist() == [3.0, 4.0]


def test_global_norm_of_keras_can_touch_a_gradient_below_the_limit() -> None:
    """It multiplies by 41 * (1 / 41), which is not 1 in float32; clipnorm and ours leave the bits
    alone.
    """
    array = [np.array([10.25], np.float32)]
    assert in_keras_clipped({"global_clipnorm": 41.0}, array)[0] == np.nextafter(
        np.float32(10.25), np.float32(0)
    )
    assert in_keras_clipped({"clipnorm": 41.0}, array)[0] == array[0]
    for clipping in (
        ClipNorm(limit=41.0),
        ClipGlobalNorm(limit=41.0),
        ClipGlobalNorm(limit=41.0, infinite="NAN"),
    ):
        assert in_numpy.clipped(clipping, array)[0] == array[0]


def test_infinite_norm_makes_zeros_in_torch_and_not_a_number_in_keras() -> None:
    """Keras' clipnorm makes zeros too; a norm that is no number spreads to every element in all."""
    infinite, nan = [np.array([1.0, np.inf], np.float32)], [np.array([1.0, np.nan], np.float32)]
    for native, clipping, expected in (
        (
            in_torch_clipped(Call("clip_grad_norm_", {"max_norm": 1.0}), infinite),
            ClipGlobalNorm(limit=1.0),
            0.0,
        ),
        (in_keras_clipped({"clipnorm": 1.0}, infinite), ClipNorm(limit=1.0), 0.0),
        (
            in_keras_clipped({"global_clipnorm": 1.0}, infinite),
            ClipGlobalNorm(limit=1.0, infinite="NAN"),
            np.nan,
        ),
    ):
        for found in (native, in_numpy.clipped(clipping, infinite)):
            assert np.array_equal(found[0], [expected, np.nan], equal_nan=True)
        assert np.isnan(in_numpy.clipped(clipping, nan)[0]).all()
    assert np.isnan(in_torch_clipped(Call("clip_grad_norm_", {"max_norm": 1.0}), nan)[0]).all()


def describe(array: Any) -> Any:
    """Dtype, shape and values."""
    return None if array is None else (str(array.dtype), array.shape, array.tolist())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("clipping", CLIPPINGS, ids=repr)
def test_clipped_gradients_have_the_same_bits_in_all_frameworks(
    clipping: Clipping, dtype: str
) -> None:
    """Eager and in a graph; None stays None, and what is empty stays."""
    arrays = [*gradients(dtype, 0.5), np.zeros((0, 3), dtype)]
    expected = in_numpy.clipped(clipping, [*arrays, None])
    assert expected[-1] is None
    tensors = [torch.tensor(array) for array in arrays]
    found = [None if g is None else g.numpy() for g in in_torch.clipped(clipping, [*tensors, None])]
    constants = [tf.constant(array) for array in arrays]
    eager = [
        None if g is None else g.numpy() for g in in_keras.clipped(clipping, [*constants, None])
    ]
    graph = tf.function(lambda *given: in_keras.clipped(clipping, given))(*constants)
    for other in (found, eager, [*(g.numpy() for g in graph), None]):
        assert [describe(array) for array in other] == [describe(array) for array in expected]
    changed = any(not np.array_equal(a, b) for a, b in zip(arrays, expected, strict=False))
    assert changed == (clipping.limit < 1e6)


def test_clipping_under_xla_stays_within_its_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA fuses squares and sums."""
    arrays, clipping = gradients(), ClipGlobalNorm(limit=0.7)
    compiled = tf.function(lambda *given: in_keras.clipped(clipping, given), jit_compile=True)
    expected = in_numpy.clipped(clipping, [array.astype(np.float64) for array in arrays])
    verdict = holds(
        flat(expected), flat(compiled(*arrays)), clip_bounds(clipping, arrays, monkeypatch)
    )
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 97, 1000])
def test_norm_adds_every_element_once(size: int) -> None:
    """Whole numbers, whose squares add exactly: 1, 2, 3, ..."""
    whole = np.arange(1.0, size + 1)
    exact = float(np.sqrt(size * (size + 1) * (2 * size + 1) // 6))
    assert clipping_module.global_norm([whole], samestep.frameworks.numpy.namespace) == exact


def test_norm_is_within_its_roundings_of_the_exact_one() -> None:
    """Two for the square and the root, one for each halving, against fractions summed exactly."""
    draws = streams.gradients("spread", 1, np.ones(1000))[0].astype(np.float32)
    exact = math.sqrt(math.fsum(float(x) ** 2 for x in draws))
    found = float(clipping_module.global_norm([draws], samestep.frameworks.numpy.namespace))
    assert abs(found - exact) <= (2 + math.ceil(math.log2(1000)) + 1) * ROUNDOFF["float32"] * exact


def test_torch_gradients_are_clipped_in_place() -> None:
    """Parameters without a gradient rest, sparse gradients become dense, one parameter may come
    alone.
    """
    a, b, c = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    a.grad = torch.tensor([3.0, 0.0])
    c.grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.tensor([2.0, 2.0]), (2,), check_invariants=False
    )
    held = a.grad
    module._warn_sparse.cache_clear()
    with pytest.warns(UserWarning, match="sparse gradients are made dense"):
        in_torch.clip_(iter([a, b, c]), ClipGlobalNorm(limit=2.5))
    assert (held.tolist(), b.grad, c.grad.tolist()) == ([1.5, 0.0], None, [0.0, 2.0])
    in_torch.clip_(a, ClipValue(limit=1.0))
    assert held.tolist() == [1.0, 0.0]


def test_keras_clips_sparse_gradients_dense() -> None:
    """Duplicates summed, which is said once; a variable without a gradient keeps None."""
    sparse = tf.IndexedSlices(tf.constant([3.0, 3.0]), tf.constant([1, 1]), tf.constant([2]))
    in_keras_module._warn_sparse.cache_clear()
    with pytest.warns(UserWarning, match="gradients are made dense"):
        nothing, found = in_keras.clipped(ClipNorm(limit=1.5), [None, sparse])
    assert (nothing, found.numpy().tolist()) == (None, [0.0, 1.5])


@pytest.mark.parametrize("order", [("float32", "float64"), ("float64", "float16")], ids=" ".join)
def test_gradients_of_two_dtypes_are_clipped_in_the_wider(order: tuple[str, str]) -> None:
    """By the norm of all that float64 gives, and each is rounded once; in every framework."""
    given = [
        array.astype(dtype) for array, dtype in zip(gradients(scale=0.1)[::3], order, strict=True)
    ]
    clipping = ClipGlobalNorm(limit=0.125)
    wide = clipping.clip(
        [array.astype(np.float64) for array in given], samestep.frameworks.numpy.namespace
    )
    expected = [
        np.asarray(array).astype(dtype).tolist() for array, dtype in zip(wide, order, strict=True)
    ]
    for each, make in ((in_numpy, np.array), (in_torch, torch.tensor), (in_keras, tf.constant)):
        found = [
            np.asarray(array) for array in each.clipped(clipping, [make(array) for array in given])
        ]
        assert [array.dtype.name for array in found] == list(order)
        assert [array.tolist() for array in found] == expected
