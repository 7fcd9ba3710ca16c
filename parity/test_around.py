"""Around the rule: clipping, averages, accumulation, against the natives and among ours; and all of it together."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from parity import limits, streams
from parity.around import AVERAGES, CLIPPINGS, SCHEDULES, holds
from parity.limits import ROUNDOFF, Bounded
from parity.require import require
from reference import SGD, Adagrad, Adam, RMSprop, Rule
from reference.around import (
    Accumulation,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    ClipValue,
    Cosine,
    EqualAverage,
    MovingAverage,
    Part,
    Piecewise,
    Polynomial,
    WarmUp,
    restore,
)
from reference.around import clipping as clipping_module
from reference.dialects import Call, Inexpressible, around

torch = require("torch")
tf = require("tensorflow")
keras = require("keras")

import frameworks.numpy  # noqa: E402  # after require
import frameworks.numpy.around as in_numpy  # noqa: E402
import frameworks.pytorch  # noqa: E402
import frameworks.pytorch.around as in_torch  # noqa: E402
import frameworks.tensorflow.around as in_keras  # noqa: E402
from frameworks.pytorch import optimizer as module  # noqa: E402

# Clipping


def gradients(dtype: str = "float32", scale: float = 1.0) -> list[np.ndarray]:
    """Tensors of several shapes, their elements of several sizes."""
    sizes = {(3, 7): 1.0, (): 0.5, (1,): 2.0, (257,): 0.1}
    drawn = (streams.normal((math.prod(shape), 1), seed).reshape(shape) * size for seed, (shape, size) in
             enumerate(sizes.items(), start=3))  # fmt: skip
    return [np.asarray(scale * array, np.float32).astype(dtype) for array in drawn]


def in_torch_clipped(call: Call, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    params = [torch.nn.Parameter(torch.zeros(array.shape, dtype=torch.tensor(array).dtype)) for array in arrays]
    for param, array in zip(params, arrays, strict=True):
        param.grad = torch.tensor(array)
    getattr(torch.nn.utils, call.name)(params, **call.arguments)
    return [param.grad.numpy() for param in params]


def in_keras_clipped(arguments: dict[str, float], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What Keras' own optimizer makes of gradients: steps of SGD at rate 1, from zero, with the sign turned."""
    variables = [tf.Variable(np.zeros_like(array)) for array in arrays]
    optimizer = keras.optimizers.SGD(1.0, **arguments)
    optimizer.build(variables)
    optimizer.apply([tf.constant(array) for array in arrays])
    return [-variable.numpy() for variable in variables]


def clip_bounds(clipping: Clipping, arrays: Sequence[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """How far rounding can move the clipped elements, whatever the order of the sum of n squares.

    It lies within n roundings of the exact one (Higham, section 4.2; one more for the square).
    """
    dtype = str(arrays[0].dtype)

    def any_order(tensors: Sequence[Bounded], xp: Any) -> Bounded:
        squares = sum(float((tensor.value**2).sum()) for tensor in tensors)
        count = sum(tensor.value.size for tensor in tensors) + len(tensors)
        return xp.sqrt(Bounded(squares, count * ROUNDOFF[dtype] * squares, dtype))

    with monkeypatch.context() as patch:
        patch.setattr(clipping_module, "norm", any_order)
        found = clipping._clip([Bounded(array, 0.0, dtype) for array in arrays], limits.namespace("float64"))
    return np.concatenate([np.broadcast_to(one.error, one.value.shape).ravel() for one in found])


def flat(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("limit", [1e-4, 0.7, 30.0])
def test_clipping_of_the_natives_is_that_of_their_dialects(
    limit: float, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch by global norm, Keras by norm and by global norm; the other's way of it is beyond the limit."""
    arrays = gradients(dtype, scale=0.001)
    pairs: list[tuple[Clipping, list[np.ndarray]]] = [
        (around.pytorch.read_clipping("clip_grad_norm_", max_norm=limit),
         in_torch_clipped(Call("clip_grad_norm_", {"max_norm": limit}), arrays)),
        (around.keras.read_clipping(clipnorm=limit), in_keras_clipped({"clipnorm": limit}, arrays)),
        (around.keras.read_clipping(global_clipnorm=limit), in_keras_clipped({"global_clipnorm": limit}, arrays)),
    ]  # fmt: skip
    for clipping, native in pairs:
        expected = in_numpy.clipped(clipping, [array.astype(np.float64) for array in arrays])
        bound = clip_bounds(clipping, arrays, monkeypatch)
        verdict = holds(flat(expected), flat(native), bound)
        assert verdict.holds, f"{clipping}: {verdict}"
        for other, _ in pairs:
            if limit == 1e-4 and repr(other) != repr(clipping):
                wrong = in_numpy.clipped(other, [array.astype(np.float64) for array in arrays])
                assert not holds(flat(wrong), flat(native), bound).holds, f"{clipping} passes for {other}"


def test_clipping_by_value_is_the_same_everywhere() -> None:
    """torch, Keras and ours, to the last bit; not-a-number stays."""
    arrays = [np.array([np.nan, np.inf, -np.inf, 0.3, 0.30000001, -5.0, 0.0], np.float32), *gradients()]
    ours = in_numpy.clipped(around.pytorch.read_clipping("clip_grad_value_", clip_value=0.3), arrays)
    natives = (
        in_torch_clipped(Call("clip_grad_value_", {"clip_value": 0.3}), arrays),
        in_keras_clipped({"clipvalue": 0.3}, arrays),
    )
    for native in natives:
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, native, strict=True))
    assert around.keras.read_clipping(clipvalue=0.3) == ClipValue(limit=0.3)


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
    """It multiplies by 41 * (1 / 41), which is not 1 in float32; clipnorm and ours leave the bits alone."""
    array = [np.array([10.25], np.float32)]
    assert in_keras_clipped({"global_clipnorm": 41.0}, array)[0] == np.nextafter(np.float32(10.25), np.float32(0))
    assert in_keras_clipped({"clipnorm": 41.0}, array)[0] == array[0]
    for clipping in (ClipNorm(limit=41.0), ClipGlobalNorm(limit=41.0), ClipGlobalNorm(limit=41.0, infinite="NAN")):
        assert in_numpy.clipped(clipping, array)[0] == array[0]


def test_infinite_norm_makes_zeros_in_torch_and_not_a_number_in_keras() -> None:
    """Keras' clipnorm makes zeros too; a norm that is no number spreads to every element in all."""
    infinite, nan = [np.array([1.0, np.inf], np.float32)], [np.array([1.0, np.nan], np.float32)]
    for native, clipping, expected in (
        (in_torch_clipped(Call("clip_grad_norm_", {"max_norm": 1.0}), infinite), ClipGlobalNorm(limit=1.0), 0.0),
        (in_keras_clipped({"clipnorm": 1.0}, infinite), ClipNorm(limit=1.0), 0.0),
        (in_keras_clipped({"global_clipnorm": 1.0}, infinite), ClipGlobalNorm(limit=1.0, infinite="NAN"), np.nan),
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
def test_clipped_gradients_have_the_same_bits_in_all_frameworks(clipping: Clipping, dtype: str) -> None:
    """Eager and in a graph; None stays None, and what is empty stays."""
    arrays = [*gradients(dtype, 0.5), np.zeros((0, 3), dtype)]
    expected = [*in_numpy.clipped(clipping, arrays), None]
    tensors = [torch.tensor(array) for array in arrays]
    found = [None if g is None else g.numpy() for g in in_torch.clipped(clipping, [*tensors, None])]
    constants = [tf.constant(array) for array in arrays]
    eager = [None if g is None else g.numpy() for g in in_keras.clipped(clipping, [*constants, None])]
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
    verdict = holds(flat(expected), flat(compiled(*arrays)), clip_bounds(clipping, arrays, monkeypatch))
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 97, 1000])
def test_norm_adds_every_element_once(size: int) -> None:
    """Whole numbers, whose squares add exactly: 1, 2, 3, ..."""
    whole = np.arange(1.0, size + 1)
    exact = float(np.sqrt(size * (size + 1) * (2 * size + 1) // 6))
    assert clipping_module.norm([whole], frameworks.numpy.namespace) == exact


def test_norm_is_within_its_roundings_of_the_exact_one() -> None:
    """Two for the square and the root, one for each halving, against fractions summed exactly."""
    draws = streams.gradients("spread", 1, np.ones(1000))[0].astype(np.float32)
    exact = math.sqrt(math.fsum(float(x) ** 2 for x in draws))
    found = float(clipping_module.norm([draws], frameworks.numpy.namespace))
    assert abs(found - exact) <= (2 + math.ceil(math.log2(1000)) + 1) * ROUNDOFF["float32"] * exact


def test_torch_gradients_are_clipped_in_place() -> None:
    """Parameters without a gradient rest, sparse gradients become dense, one parameter may come alone."""
    a, b, c = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    a.grad = torch.tensor([3.0, 0.0])
    c.grad = torch.sparse_coo_tensor(torch.tensor([[1, 1]]), torch.tensor([2.0, 2.0]), (2,), check_invariants=False)
    held = a.grad
    module._warn_sparse.cache_clear()
    with pytest.warns(UserWarning, match="sparse gradients are made dense"):
        in_torch.clip_(iter([a, b, c]), ClipGlobalNorm(limit=2.5))
    assert (held.tolist(), b.grad, c.grad.tolist()) == ([1.5, 0.0], None, [0.0, 2.0])
    in_torch.clip_(a, ClipValue(limit=1.0))
    assert held.tolist() == [1.0, 0.0]


# Averages


def path(dtype: str = "float32", steps: int = 8) -> list[np.ndarray]:
    """Parameters along a training run."""
    return [(streams.normal((5,), 40 + step) + step).astype(np.float32).astype(dtype) for step in range(steps)]


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
    thetas, call = path(dtype), around.pytorch.spell_average(average)
    native = averaged_model(thetas, avg_fn=getattr(torch.optim.swa_utils, call.name)(**call.arguments))
    assert native[0].tolist() == thetas[0].tolist()
    limit = average_bounds(average, thetas)
    verdict = holds(flat(averaged(average, path("float64"))), flat(native), limit)
    assert verdict.holds, str(verdict)
    for other in (*AVERAGES, MovingAverage(keep=0.91)):
        if other != average:
            assert not holds(flat(averaged(other, path("float64"))), flat(native), limit).holds
    assert around.pytorch.read_average(call.name, **call.arguments) == average
    assert around.pytorch.read_average() == EqualAverage()


class _Float32Shares(EqualAverage):
    """Equal weights whose share 1 / count goes through float32."""

    def weights(self, count: int) -> tuple[float, float]:
        share = float(np.float32(1 / count))
        return 1 - share, share


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_average_of_torch_for_many_takes_its_shares_through_float32(dtype: str) -> None:
    """1 / (a whole-number tensor) is float32: in float64 a deviation, agreeing with the rule that makes the mistake.

    Of get_swa_multi_avg_fn alone: AveragedModel's default on the CPU, and get_swa_avg_fn, are right.
    """
    thetas, right, wrong = path(dtype), EqualAverage(), _Float32Shares()
    limit = average_bounds(right, thetas)
    plain = holds(flat(averaged(right, path("float64"))), flat(averaged_model(thetas)), limit)
    assert plain.holds, str(plain)
    native = flat(averaged_model(thetas, multi_avg_fn=torch.optim.swa_utils.get_swa_multi_avg_fn()))
    verdict = holds(flat(averaged(wrong, path("float64"))), native, average_bounds(wrong, thetas))
    assert verdict.holds, str(verdict)
    assert holds(flat(averaged(right, path("float64"))), native, limit).holds == (dtype == "float32")


def test_defaults_of_the_moving_averages_are_read() -> None:
    """0.999 in torch, 0.99 in Keras; the other's is beyond the limit."""
    thetas = path()
    for native, average, other in (
        (averaged_model(thetas, avg_fn=torch.optim.swa_utils.get_ema_avg_fn()),
         around.pytorch.read_average("get_ema_avg_fn"), MovingAverage(keep=0.99)),
        (keras_averages(thetas, use_ema=True), around.keras.read_average(use_ema=True), MovingAverage(keep=0.999)),
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
    native = keras_averages(thetas, **around.keras.spell_average(average))
    limit = average_bounds(average, thetas)
    verdict = holds(flat(averaged(average, path("float64"))), flat(native), limit)
    assert verdict.holds, str(verdict)
    assert not holds(flat(averaged(MovingAverage(keep=0.91), path("float64"))), flat(native), limit).holds
    assert around.keras.read_average(use_ema=True) == MovingAverage(keep=0.99)
    assert around.keras.read_average(ema_momentum=0.9) == average


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
    array, param = np.zeros(5, dtype), torch.nn.Parameter(torch.zeros(5, dtype=getattr(torch, dtype)))
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
    expected = averaged(average, [theta.astype("float32" if dtype == "float16" else dtype) for theta in path(dtype)])
    found = [ours[0].averages[0], ours[1].averages[0].numpy(), ours[2].averages[0].numpy()]
    assert [(str(one.dtype), one.tolist()) for one in found] == [(str(expected[-1].dtype), expected[-1].tolist())] * 3


def test_average_serves_torch_as_its_function() -> None:
    """AveragedModel with our avg_fn holds our bits."""
    for average in AVERAGES:
        native = averaged_model(path(), avg_fn=in_torch.averaging(average))
        assert [one.tolist() for one in native] == [one.tolist() for one in averaged(average, path())]


# Accumulation


def test_keras_accumulates_the_mean_as_its_dialect_says() -> None:
    """Steps of SGD at rate 1 from zero; the sum is beyond the limit."""
    batches, accumulation = path(steps=3), around.keras.read_accumulation(3)
    variable = tf.Variable(np.zeros(5, np.float32))
    optimizer = keras.optimizers.SGD(1.0, **around.keras.spell_accumulation(accumulation))
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
        param, expected = torch.nn.Parameter(torch.zeros(5)), in_torch.Accumulator(Accumulation(steps=4, total=total))
        for gradient in path(steps=4):
            (share * (param * torch.tensor(gradient)).sum()).backward()
            found = expected.add([torch.tensor(gradient)])
        assert torch.equal(param.grad, found[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("total", ["MEAN", "SUM"])
def test_accumulated_gradients_have_the_same_bits_in_all_frameworks(total: str, dtype: str) -> None:
    """A gradient that is missing counts as zero, one that never came is None; what was added may be overwritten."""
    accumulation = Accumulation(steps=3, total=total)
    ours = [each.Accumulator(accumulation) for each in (in_numpy, in_torch, in_keras)]
    makers: list[Callable[[np.ndarray], Any]] = [np.array, torch.tensor, tf.constant]
    batches, found = path(dtype, 6), []
    for index, gradient in enumerate(batches):
        given = [[make(gradient), make(gradient) if index % 3 == 1 else None, None] for make in makers]
        due = [each.add(one) for each, one in zip(ours, given, strict=True)]
        given[0][0][...], given[1][0][...] = 0, 0
        if index % 3 == 2:
            found.append([[None if g is None else np.asarray(g).tolist() for g in one] for one in due])
        else:
            assert due == [None] * 3
    wide = [gradient.astype("float32" if dtype == "float16" else dtype) for gradient in batches]
    share = 1 / 3 if total == "MEAN" else 1.0
    for half, same in zip((wide[:3], wide[3:]), found, strict=True):
        first = (share * (half[0] + half[1] + half[2])).astype(dtype).tolist()
        assert same == [[first, (share * half[1]).astype(dtype).tolist(), None]] * 3


# All of it, around any rule


@keras.saving.register_keras_serializable(package="parity-around")
class Inner(keras.layers.Layer):
    """The inner product with weights, whose gradient is the input itself."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1],), initializer="zeros", name="w")

    def call(self, x: Any) -> Any:
        return tf.reduce_sum(x * self.w, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="parity-around")
def output(labels: Any, predicted: Any) -> Any:
    """The loss: the model's output."""
    return predicted[:, 0]


RULES: list[Rule] = [SGD(momentum=0.9), Adagrad(), RMSprop(centered=True), Adam(epsilon_at="HAT")]
WARM = WarmUp(start=0.01, steps=3, then=Cosine(lr=0.1, end=0.001, steps=9))
GLOBAL = ClipGlobalNorm(limit=0.5, added=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_any_rule_ends_alike_with_schedule_clipping_and_accumulation(rule: Rule) -> None:
    """NumPy, PyTorch and ``model.fit`` (a graph), to the last bit; the mean of four gradients rounds nothing extra."""
    xs = streams.gradients("spread", 48, np.logspace(-3, 1, 17)).astype(np.float32)
    theta, param = np.zeros(17, np.float32), torch.nn.Parameter(torch.zeros(17))
    optimizer, other = frameworks.numpy.Optimizer([theta], rule), frameworks.pytorch.Optimizer([param], rule)
    schedulers = in_numpy.Scheduler(optimizer, WARM), in_torch.Scheduler(other, WARM)
    accumulators = [each.Accumulator(Accumulation(steps=4)) for each in (in_numpy, in_torch)]
    for x in xs:
        array, tensor = accumulators[0].add([x]), accumulators[1].add([torch.tensor(x)])
        if array is not None:
            optimizer.step(in_numpy.clipped(GLOBAL, array))
            param.grad = tensor[0]
            in_torch.clip_([param], GLOBAL)
            other.step()
            for scheduler in schedulers:
                scheduler.step()
    native = in_keras.Clipped(rule, GLOBAL, in_keras.Schedule(WARM, 4), gradient_accumulation_steps=4)
    model = keras.Sequential([keras.Input((17,)), Inner()])
    model.compile(optimizer=native, loss=output, jit_compile=False)
    model.fit(xs, np.zeros(len(xs)), batch_size=1, shuffle=False, verbose=0)
    assert theta.tolist() == param.detach().numpy().tolist() == model.get_weights()[0].tolist()
    assert np.isfinite(theta).all()
    assert theta.all()


def test_clipped_optimizer_survives_its_config() -> None:
    """Rule, clipping, schedule."""
    optimizer = in_keras.Clipped(Adam(beta1=0.5), GLOBAL, in_keras.Schedule(WARM))
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert (twin.rule, twin.clipping, twin._learning_rate.schedule) == (Adam(beta1=0.5), GLOBAL, WARM)


def test_clipping_is_said_once() -> None:
    """Keras' own beside ours is refused, and so is what is no clipping."""
    with pytest.raises(ValueError, match=r"said once, got ClipNorm\(limit=1.0\) and clipnorm=2.0"):
        in_keras.Clipped(Adam(), ClipNorm(limit=1.0), clipnorm=2.0)
    with pytest.raises(ValueError, match=r"must be one such as ClipNorm\(limit=1.0\), got 1.0"):
        in_keras.Clipped(Adam(), 1.0)


# Dialects and fields


def test_spelled_schedules_read_back() -> None:
    """Where a dialect has a word, its word means the schedule."""
    for schedule in (SCHEDULES[3], SCHEDULES[5], SCHEDULES[6], SCHEDULES[11]):
        call = around.pytorch.spell_schedule(schedule)
        lr = float(call.condition.split("lr=")[1])
        assert around.pytorch.read_schedule(call.name, lr=lr, **call.arguments) == schedule
    for schedule in (*SCHEDULES[2:10], SCHEDULES[12]):
        call = around.keras.spell_schedule(schedule)
        assert around.keras.read_schedule(call.name, **call.arguments) == schedule


def test_warm_up_is_a_sequence_in_torch() -> None:
    """With the start as a share of the optimizer's own rate."""
    call = around.pytorch.spell_schedule(WarmUp(start=0.25, steps=3, then=Cosine(lr=0.5, steps=9)))
    assert call == Call(
        "SequentialLR",
        {
            "schedulers": [
                Call("LinearLR", {"start_factor": 0.5, "total_iters": 3}),
                Call("CosineAnnealingLR", {"T_max": 9, "eta_min": 0.0}),
            ],
            "milestones": [3],
        },
        "on an optimizer with lr=0.5, for the first 10 steps after the warm-up",
    )


SAYINGS: list[tuple[Callable[[], Any], str]] = [
    (lambda: around.pytorch.spell_schedule(Polynomial(lr=0.0, end=0.1, steps=3)), "LinearLR cannot start at 0"),
    (lambda: around.pytorch.spell_schedule(Piecewise(boundaries=[1], rates=[0, 1])), "several ratios"),
    (lambda: around.pytorch.spell_clipping(ClipNorm(limit=1.0)), "one call for each parameter"),
    (lambda: around.pytorch.spell_clipping(ClipGlobalNorm(limit=1.0)), "shorter by the share 1e-6"),
    (lambda: around.pytorch.read_clipping("clip_grad_norm_", max_norm=1.0, norm_type=1.0), "the norm here is Euclid's"),
    (lambda: around.pytorch.spell_accumulation(Accumulation(steps=4)), r"\(loss / 4\).backward\(\)"),
    (lambda: around.pytorch.spell_accumulation(Accumulation(steps=4, total="SUM")), r"Instead: loss.backward\(\)"),
    (lambda: around.keras.read_schedule("PolynomialDecay", initial_learning_rate=1.0, decay_steps=3, cycle=True),
     "no schedule here starts again"),
    (lambda: around.keras.spell_schedule(Piecewise(boundaries=[2, 2], rates=[1, 2, 3])), "each above the last"),
    (lambda: around.keras.spell_schedule(Cosine(lr=0.0, end=0.1, steps=3)), "share of its beginning, here 0"),
    (lambda: around.keras.spell_clipping(ClipGlobalNorm(limit=1.0, added=1e-6)), "longer by the share added / norm"),
    (lambda: around.keras.spell_clipping(ClipGlobalNorm(limit=1.0)), "NaN of all elements"),
    (lambda: around.keras.read_average(ema_overwrite_frequency=5), "writes the average back"),
    (lambda: around.keras.read_average(gradient_accumulation_steps=4), "acts 4 times a step"),
    (lambda: around.keras.spell_average(EqualAverage()), "forgets at a constant pace"),
    (lambda: around.keras.spell_accumulation(Accumulation(steps=4, total="SUM")), "Keras takes the mean"),
]  # fmt: skip


@pytest.mark.parametrize(("say", "why"), SAYINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_said_is_inexpressible(say: Callable[[], Any], why: str) -> None:
    """With a reason and a remedy."""
    with pytest.raises(Inexpressible, match=why) as raised:
        say()
    assert "Instead: " in str(raised.value)


def test_spelled_clippings() -> None:
    """The words of both."""
    assert str(around.pytorch.spell_clipping(ClipValue(limit=0.5))) == "clip_grad_value_(clip_value=0.5)"
    assert str(around.pytorch.spell_clipping(ClipGlobalNorm(limit=0.5, added=1e-6))) == "clip_grad_norm_(max_norm=0.5)"
    for arguments in ({"clipnorm": 0.5}, {"global_clipnorm": 0.5}, {"clipvalue": 0.5}):
        clipping = around.keras.read_clipping(**arguments, **dict.fromkeys({"clipnorm", "clipvalue"} - {*arguments}))
        assert around.keras.spell_clipping(clipping) == arguments
    assert around.keras.spell_accumulation(Accumulation(steps=1)) == {}


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: around.pytorch.read_schedule("OneCycleLR", lr=0.1), "nothing called 'OneCycleLR' here; there are: Con"),
    (lambda: around.pytorch.read_schedule("StepLR", lr=0.1), "StepLR must be given step_size"),
    (lambda: around.pytorch.read_schedule("StepLR", lr=0.1, step_size=2, gama=1), "StepLR has no argument 'gama'"),
    (lambda: around.keras.read_schedule("CosineDecay", initial_learning_rate=0.1), "must be given decay_steps"),
    (lambda: around.keras.read_clipping(clipnorm=1.0, clipvalue=1.0), "one of clipnorm, global_clipnorm, clipvalue"),
    (lambda: around.keras.read_clipping(clipnorm=None), "must be given, got {}"),
    (lambda: around.keras.read_clipping(max_norm=1.0), "must be given, got {'max_norm': 1.0}"),
    (lambda: ClipNorm(limit=0.0), r"limit must lie in \(0, inf\), got 0.0"),
    (lambda: Cosine(lr=0.1, steps=0), "steps must be a whole number from 1 on, got 0"),
    (lambda: Cosine(lr=0.1, steps=2.5), "steps must be a whole number from 1 on, got 2.5"),
    (lambda: Cosine(lr=-0.1, steps=2), r"lr must lie in \[0, inf\), got -0.1"),
    (lambda: Cosine(lr=0.1, steps=2, after="STOP"), "after must be After.STAY or After.RETURN, got 'STOP'"),
    (lambda: Piecewise(boundaries=[3, 2], rates=[1, 2, 3]), "must be whole numbers that do not fall"),
    (lambda: Piecewise(boundaries=[0.5], rates=[1, 2]), "must be whole numbers that do not fall"),
    (lambda: Piecewise(boundaries=[3], rates=[1]), "rates must be one more than boundaries, got 1"),
    (lambda: Piecewise(boundaries=[3], rates=[1, -2]), r"each of rates must lie in \[0, inf\), got -2"),
    (lambda: Piecewise(boundaries="3", rates=[1, 2]), "boundaries must be a sequence of numbers, got '3'"),
    (lambda: WarmUp(steps=3, then=0.1), r"then must be a schedule such as Cosine\(.*\), got 0.1"),
    (lambda: MovingAverage(keep=1.5), r"keep must lie in \[0, 1\], got 1.5"),
    (lambda: restore({"part": "restore"}), "must be the name of a part of reference.around, got 'restore'"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes_are_named(mistake: Callable[[], Any], message: str) -> None:
    """What must hold, and what came."""
    with pytest.raises(ValueError, match=message):
        mistake()


def test_parts_come_back_from_plain_values() -> None:
    """Every part that the tests use; and their labels say what is no default."""
    parts: list[Part] = [*SCHEDULES, *CLIPPINGS, *AVERAGES, Accumulation(steps=3, total="SUM")]
    assert [restore(part.plain()) for part in parts] == parts
    assert repr(SCHEDULES[13]) == "WarmUp(start=0.02, steps=5, then=Cosine(lr=0.1, end=0.001, steps=40))"
