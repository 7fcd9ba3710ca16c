"""Averages of weights, and accumulated gradients: against the natives, and with equal bits among
ours.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.parity.measure import streams
from samestep.parity.measure.bounded import ROUNDOFF, Bounded
from samestep.parity.tests.support.parts import AVERAGES, flat, holds
from samestep.reference.dialects import parts
from samestep.reference.parts import Accumulation, Average, EqualAverage, MovingAverage

pytestmark = pytest.mark.rung(2)


def path(dtype: str = "float32", steps: int = 8) -> list[np.ndarray]:
    """Parameters along a training run."""
    return [
        (streams.normal((5,), 40 + step) + step).astype(np.float32).astype(dtype)
        for step in range(steps)
    ]


def averaged(average: Average, thetas: Sequence[Any]) -> list[Any]:
    """The average after each of them, of NumPy arrays or bounded numbers."""
    found: list[Any] = []
    for count, theta in enumerate(thetas, start=1):
        found.append(average.update(found[-1:], [theta], count)[0])
    return found


def average_bounds(average: Average, thetas: Sequence[np.ndarray]) -> np.ndarray:
    dtype = str(thetas[0].dtype)
    found = averaged(average, [Bounded(theta, 0.0, dtype) for theta in thetas])
    return np.concatenate([one.error + ROUNDOFF[dtype] * np.abs(one.value) for one in found])


def averaged_model(thetas: Sequence[np.ndarray], **how: Any) -> list[np.ndarray]:
    """What AveragedModel holds after each of them."""
    model = torch.nn.Linear(5, 1, bias=False, dtype=torch.tensor(thetas[0]).dtype)
    native, found = torch.optim.swa_utils.AveragedModel(model, **how), []
    for theta in thetas:
        model.weight.data.copy_(torch.tensor(theta))
        native.update_parameters(model)
        found.append(native.module.weight.detach().numpy().ravel().copy())
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_averaged_model_of_torch_is_its_dialect(average: Average, dtype: str) -> None:
    """As spelled; the first call copies. The other averages are beyond the limit."""
    thetas, call = path(dtype), parts.pytorch.spell_average(average)
    native = averaged_model(
        thetas, avg_fn=getattr(torch.optim.swa_utils, call.name)(**call.arguments)
    )
    assert native[0].tolist() == thetas[0].tolist()
    limit = average_bounds(average, thetas)
    verdict = holds(flat(averaged(average, path("float64"))), flat(native), limit)
    assert verdict.holds, str(verdict)
    for other in (*AVERAGES, MovingAverage(keep=0.91)):
        if other != average:
            assert not holds(flat(averaged(other, path("float64"))), flat(native), limit).holds
    assert parts.pytorch.read_average(call.name, **call.arguments) == average
    assert parts.pytorch.read_average() == EqualAverage()


class _Float32Shares(EqualAverage):
    """Equal weights whose share 1 / count goes through float32."""

    def weights(self, count: int) -> tuple[float, float]:
        share = float(np.float32(1 / count))
        return 1 - share, share


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_average_of_torch_for_many_takes_its_shares_through_float32(dtype: str) -> None:
    """1 / (a whole-number tensor) is float32: in float64 a deviation, agreeing with the rule that
    makes the mistake.

    Of get_swa_multi_avg_fn alone: AveragedModel's default on the CPU, and get_swa_avg_fn, are
    right.
    """
    thetas, right, wrong = path(dtype), EqualAverage(), _Float32Shares()
    limit = average_bounds(right, thetas)
    plain = holds(flat(averaged(right, path("float64"))), flat(averaged_model(thetas)), limit)
    assert plain.holds, str(plain)
    native = flat(averaged_model(thetas, multi_avg_fn=torch.optim.swa_utils.get_swa_multi_avg_fn()))
    verdict = holds(flat(averaged(wrong, path("float64"))), native, average_bounds(wrong, thetas))
    assert verdict.holds, str(verdict)
    assert holds(flat(averaged(right, path("float64"))), native, limit).holds == (
        dtype == "float32"
    )


def test_defaults_of_the_moving_averages_are_read() -> None:
    """0.999 in torch, 0.99 in Keras; the other's is beyond the limit."""
    thetas = path()
    for native, average, other in (
        (averaged_model(thetas, avg_fn=torch.optim.swa_utils.get_ema_avg_fn()),
         parts.pytorch.read_average("get_ema_avg_fn"), MovingAverage(keep=0.99)),
        (keras_averages(thetas, use_ema=True), parts.keras.read_average(use_ema=True),
         MovingAverage(keep=0.999)),
    ):  # fmt: skip
        limit = average_bounds(average, thetas)
        verdict = holds(flat(averaged(average, path("float64"))), flat(native), limit)
        assert verdict.holds, str(verdict)
        assert not holds(flat(averaged(other, path("float64"))), flat(native), limit).holds


def test_moving_average_of_torch_for_many_is_that_for_one() -> None:
    """get_ema_multi_avg_fn, a lerp."""
    thetas, average = path("float64"), MovingAverage(keep=0.9)
    native = averaged_model(thetas, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    verdict = holds(flat(averaged(average, thetas)), flat(native), average_bounds(average, thetas))
    assert verdict.holds, str(verdict)


def keras_averages(thetas: Sequence[np.ndarray], **arguments: Any) -> list[np.ndarray]:
    """What Keras' use_ema holds after each batch that leads there."""
    k = arguments.get("gradient_accumulation_steps") or 1
    variable = tf.Variable(np.zeros_like(thetas[0]))
    optimizer = keras.optimizers.SGD(0.0, **arguments)
    optimizer.build([variable])
    found = []
    for batch in range(k * len(thetas)):
        if batch % k == k - 1:
            variable.assign(thetas[batch // k])
        optimizer.apply([tf.zeros_like(variable)])
        found.append(optimizer._model_variables_moving_average[0].numpy())
    return found


def test_moving_average_of_keras_is_its_dialect() -> None:
    """The first step copies; a neighbouring momentum is beyond the limit."""
    thetas, average = path(), MovingAverage(keep=0.9)
    native = keras_averages(thetas, **parts.keras.spell_average(average))
    limit = average_bounds(average, thetas)
    verdict = holds(flat(averaged(average, path("float64"))), flat(native), limit)
    assert verdict.holds, str(verdict)
    assert not holds(
        flat(averaged(MovingAverage(keep=0.91), path("float64"))), flat(native), limit
    ).holds
    assert parts.keras.read_average(use_ema=True) == MovingAverage(keep=0.99)
    assert parts.keras.read_average(ema_momentum=0.9) == average


def test_average_of_keras_moves_at_every_batch_under_accumulation() -> None:
    """So just before the third step of two batches it has kept momentum squared, not momentum."""
    thetas = [np.array([x], np.float32) for x in (1.0, 2.0, 4.0)]
    native = keras_averages(thetas, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2)
    assert [float(x[0]) for x in native] == [0.0, 1.0, 1.0, 1.5, 1.75, 2.875]
    assert averaged(MovingAverage(keep=0.25), thetas)[1].tolist() == [1.75]
    assert averaged(MovingAverage(keep=0.5), thetas)[1].tolist() == [1.5]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_averages_have_the_same_bits_in_all_frameworks(average: Average, dtype: str) -> None:
    """Half precision is averaged in float32; the parameters may change under them."""
    array, param = (
        np.zeros(5, dtype),
        torch.nn.Parameter(torch.zeros(5, dtype=getattr(torch, dtype))),
    )
    variable = tf.Variable(np.zeros(5, dtype))
    ours: list[Any] = [in_numpy.Averages([array], average), in_torch.Averages([param], average),
            in_keras.Averages([variable], average)]  # fmt: skip
    for theta in path(dtype):
        array[...] = theta
        param.data.copy_(torch.tensor(theta))
        variable.assign(theta)
        for each in ours:
            each.update()
    array[...], param.data[...] = 0, 0
    expected = averaged(
        average, [theta.astype("float32" if dtype == "float16" else dtype) for theta in path(dtype)]
    )
    found = [ours[0].averages[0], ours[1].averages[0].numpy(), ours[2].averages[0].numpy()]
    assert [(str(one.dtype), one.tolist()) for one in found] == [
        (str(expected[-1].dtype), expected[-1].tolist())
    ] * 3


def test_average_serves_torch_as_its_function() -> None:
    """AveragedModel with our avg_fn holds our bits."""
    for average in AVERAGES:
        native = averaged_model(path(), avg_fn=in_torch.averaging(average))
        assert [one.tolist() for one in native] == [
            one.tolist() for one in averaged(average, path())
        ]


def test_keras_accumulates_the_mean_as_its_dialect_says() -> None:
    """Steps of SGD at rate 1 from zero; the sum is beyond the limit."""
    batches, accumulation = path(steps=3), parts.keras.read_accumulation(3)
    variable = tf.Variable(np.zeros(5, np.float32))
    optimizer = keras.optimizers.SGD(1.0, **parts.keras.spell_accumulation(accumulation))
    optimizer.build([variable])
    for gradient in batches:
        assert variable.numpy().tolist() == [0.0] * 5
        optimizer.apply([tf.constant(gradient)])
    sums: list[Any] = [None]
    for gradient in batches:
        sums = accumulation.add(sums, [Bounded(gradient, 0.0, "float32")])
    (mean,) = accumulation.finished(sums)
    verdict = holds(mean.value, -variable.numpy(), mean.error)  # type: ignore[union-attr]
    assert verdict.holds, str(verdict)
    (total,) = Accumulation(steps=3, total="SUM").finished(sums)
    assert not holds(total.value, -variable.numpy(), total.error).holds  # type: ignore[union-attr]


def test_torch_backward_accumulates_the_sum() -> None:
    """And the mean, if each loss is divided: by four, so that nothing rounds."""
    for share, total in ((1.0, "SUM"), (0.25, "MEAN")):
        param, expected = (
            torch.nn.Parameter(torch.zeros(5)),
            in_torch.Accumulator(Accumulation(steps=4, total=total)),
        )
        for gradient in path(steps=4):
            (share * (param * torch.tensor(gradient)).sum()).backward()
            found = expected.add([torch.tensor(gradient)])
        assert torch.equal(param.grad, (found or [])[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("total", ["MEAN", "SUM"])
def test_accumulated_gradients_have_the_same_bits_in_all_frameworks(total: str, dtype: str) -> None:
    """A gradient that is missing counts as zero, one that never came is None; what was added may be
    overwritten.
    """
    accumulation = Accumulation(steps=3, total=total)
    ours = [each.Accumulator(accumulation) for each in (in_numpy, in_torch, in_keras)]
    makers: list[Callable[[np.ndarray], Any]] = [np.array, torch.tensor, tf.constant]
    batches, found = path(dtype, 6), []
    for index, gradient in enumerate(batches):
        given = [
            [make(gradient), make(gradient) if index % 3 == 1 else None, None] for make in makers
        ]
        due = [each.add(one) for each, one in zip(ours, given, strict=True)]
        given[0][0][...], given[1][0][...] = 0, 0
        if index % 3 == 2:
            found.append(
                [[None if g is None else np.asarray(g).tolist() for g in one] for one in due]
            )
        else:
            assert due == [None] * 3
    wide = [gradient.astype("float32" if dtype == "float16" else dtype) for gradient in batches]
    share = 1 / 3 if total == "MEAN" else 1.0
    for half, same in zip((wide[:3], wide[3:]), found, strict=True):
        first = (share * (half[0] + half[1] + half[2])).astype(dtype).tolist()
        assert same == [[first, (share * half[1]).astype(dtype).tolist(), None]] * 3


@pytest.mark.parametrize("each", [in_torch, in_keras], ids=["torch", "keras"])
def test_sparse_gradients_are_accumulated_dense(each: Any) -> None:
    """Duplicates summed, which is said once; a dense one may come after them."""
    if each is in_torch:
        sparse = torch.sparse_coo_tensor([[1, 1]], [2.0, 2.0], (3,), check_invariants=False)
    else:
        sparse = tf.IndexedSlices(tf.constant([2.0, 2.0]), tf.constant([1, 1]), tf.constant([3]))
    accumulator = each.Accumulator(Accumulation(steps=2, total="SUM"))
    importlib.import_module(f"{each.__package__}.optimizer")._warn_sparse.cache_clear()
    with pytest.warns(UserWarning, match="gradients are made dense"):
        assert accumulator.add([sparse]) is None
    (found,) = accumulator.add([torch.ones(3) if each is in_torch else tf.ones(3)])
    assert type(found) is type(torch.ones(3) if each is in_torch else tf.ones(3))
    assert np.asarray(found).tolist() == [1, 5, 1]


def test_tensors_that_have_no_partner_are_refused() -> None:
    """None is averaged, or summed, less than the others."""
    one = np.ones(3)
    with pytest.raises(ValueError, match="longer"):
        EqualAverage().update([one], [one, one], 2)
    with pytest.raises(ValueError, match="longer"):
        Accumulation(steps=2).add([one], [one, one])
