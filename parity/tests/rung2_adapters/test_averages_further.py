"""Averages that do not begin with a copy: from zero, corrected, from the initial values, and with
a pace that depends on the number of steps. Against Optax and TensorFlow 1, and equal among ours.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import tf, torch

import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.parity.measure import streams
from samestep.parity.measure.bounded import ROUNDOFF, Bounded
from samestep.parity.tests.support.parts import AVERAGES, FURTHER_AVERAGES, flat, holds
from samestep.reference.dialects import Inexpressible, parts
from samestep.reference.parts import Average, EqualAverage, MovingAverage, Start

pytestmark = pytest.mark.rung(2)

ALL = [*AVERAGES, *FURTHER_AVERAGES]
INITIAL = np.linspace(-1, 1, 5)


def path(dtype: str = "float64", steps: int = 8) -> list[np.ndarray]:
    """Parameters along a training run, with the same numbers in every dtype."""
    numbers = [streams.normal((5,), 40 + step) + step for step in range(steps)]
    return [theta.astype(np.float16).astype(dtype) for theta in numbers]


def averaged(average: Average, thetas: Sequence[Any], initial: Any) -> list[Any]:
    """The average after each of them, of NumPy arrays or bounded numbers."""
    results: list[Any] = [initial]
    for count, theta in enumerate(thetas, start=1):
        results.append(average.update(results[-1:], [theta], count)[0])
    return results[1:]


def judged(average: Average, native: Sequence[Any], dtype: str) -> bool:
    """True if a native's averages are within the rounding of the average's own formula."""
    exact = averaged(average, path(), INITIAL.astype(dtype).astype(np.float64))
    bounded = averaged(
        average,
        [Bounded(theta, 0.0, dtype) for theta in path()],
        Bounded(INITIAL.astype(dtype), 0.0, dtype),
    )
    unit = ROUNDOFF[dtype]
    keep, take = average.weights(2)
    share = unit * max(1.0, keep / take)  # the rounding of keep, as a share of 1 - keep
    limit = [x.error + (unit + share) * np.abs(x.value) for x in bounded]
    return holds(flat(exact), flat(native), np.concatenate(limit)).holds


# The values of a worked example: theta 1, 2, 3


def test_worked_example() -> None:
    thetas = [np.array([x]) for x in (1.0, 2.0, 3.0)]

    def numbers(average: Average) -> list[float]:
        return [round(float(x[0]), 6) for x in averaged(average, thetas, np.zeros(1))]

    assert numbers(MovingAverage(keep=0.9)) == [1, 1.1, 1.29]
    corrected = MovingAverage(keep=0.9, start=Start.CORRECTED)
    assert numbers(corrected) == [1, 1.526316, 2.070111]
    zero = MovingAverage(keep=0.9, start=Start.ZERO)
    assert numbers(zero) == [0.1, 0.29, 0.561]


@pytest.mark.parametrize("each", [in_numpy, in_torch, in_keras], ids=["numpy", "torch", "keras"])
def test_pace_follows_the_number_of_updates(each: Any) -> None:
    """At n = 0 nine tenths of theta are taken, at n = 10,000 one hundredth."""
    make = {in_numpy: np.array, in_torch: torch.tensor, in_keras: tf.Variable}[each]
    theta = make([0.0])
    average = parts.tensorflow1.read_average(decay=0.99, num_updates=0)
    averages = each.Averages([theta], average)
    results = []
    for value, updates in ((5.0, 0), (10.0, 10_000), (10.0, 10_000)):
        theta.assign([value]) if each is in_keras else theta.__setitem__(0, value)
        averages.update(num_updates=updates)
        results.append(round(float(np.asarray(averages.averages[0])[0]), 5))
    assert results == [4.5, 4.555, 4.60945]


# Natives


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("average", FURTHER_AVERAGES[:3], ids=repr)
def test_averages_of_optax_are_its_dialect(average: Average, dtype: str) -> None:
    """As spelled; an average that starts in another way is beyond the limit."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    call = parts.optax.spell_average(average)
    native = []
    with jax.enable_x64(True):
        if call.name == "ema":
            ema = optax.ema(**call.arguments)
            state = ema.init(jax.numpy.zeros(5, dtype))
            for theta in path(dtype):
                result, state = ema.update(jax.numpy.asarray(theta), state)
                native.append(np.asarray(result))
        else:
            old = jax.numpy.asarray(INITIAL.astype(dtype))
            for theta in path(dtype):
                old = optax.incremental_update(jax.numpy.asarray(theta), old, **call.arguments)
                native.append(np.asarray(old))
    assert {str(result.dtype) for result in native} == {dtype}
    assert judged(average, native, dtype)
    others = [other for other in ALL if other != average]
    assert not [other for other in others if judged(other, native, dtype)]
    assert parts.optax.read_average(call.name, **call.arguments) == average


class _Float32Share(MovingAverage):
    """A moving average whose share 1 - keep is computed in float32."""

    def weights(self, count: int) -> tuple[float, float]:
        keep = np.float32(super().weights(count)[0])
        if self.by_updates:
            rising = (np.float32(1) + np.float32(count - 1)) / np.float32(count + 9)
            keep = min(np.float32(self.keep), rising)
        take = float(np.float32(1) - keep)
        return 1 - take, take


def tensorflow_averages(average: Average, dtype: str) -> list[np.ndarray]:
    """What ExponentialMovingAverage holds after each theta, from the initial values on."""
    call = parts.tensorflow1.spell_average(average)
    arguments, updates = dict(call.arguments), tf.Variable(0)
    if "num_updates" in arguments:
        arguments["num_updates"] = updates
    native = tf.train.ExponentialMovingAverage(**arguments)
    variable, results = tf.Variable(INITIAL.astype(dtype)), []
    native.apply([variable])  # the average is the variable, and stays so
    for number, theta in enumerate(path(dtype)):
        variable.assign(theta)
        updates.assign(number)
        native.apply([variable])
        results.append(native.average(variable).numpy())
    return results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("average", FURTHER_AVERAGES[2:4], ids=repr)
def test_averages_of_tensorflow_1_are_its_dialect(average: MovingAverage, dtype: str) -> None:
    """As spelled, but for the share, which is rounded to float32; another start is beyond."""
    native = tensorflow_averages(average, dtype)
    mistaken = _Float32Share(keep=average.keep, start=average.start, by_updates=average.by_updates)
    assert judged(mistaken, native, dtype)
    others = [other for other in ALL if other != average]
    assert not [other for other in others if judged(other, native, dtype)]
    assert judged(average, native, dtype) == (dtype == "float32" or average.keep == 0.875)
    call = parts.tensorflow1.spell_average(average)
    assert parts.tensorflow1.read_average(call.name, **call.arguments) == average


REFUSALS = [
    (parts.keras, MovingAverage(start=Start.ZERO), "copies the weights after the first step"),
    (parts.keras, MovingAverage(by_updates=True), "forgets at a constant pace"),
    (parts.pytorch, MovingAverage(start=Start.INITIAL), "copies the model at the first update"),
    (parts.pytorch, MovingAverage(start=Start.CORRECTED), r"avg_fn=.*averaging\(MovingAverage"),
    (parts.pytorch, MovingAverage(by_updates=True), "one decay for all updates"),
    (parts.optax, MovingAverage(keep=0.75), r"incremental_update\(new, old, step_size=0.25\)"),
    (parts.optax, MovingAverage(by_updates=True), "one decay for all updates"),
    (parts.optax, EqualAverage(), "forgets at a constant pace"),
    (parts.tensorflow1, MovingAverage(), "starts at the values before training"),
    (parts.tensorflow1, EqualAverage(), "forgets at a constant pace"),
]


@pytest.mark.parametrize(("dialect", "average", "why"), REFUSALS)
def test_what_a_dialect_cannot_say_is_refused(dialect: Any, average: Average, why: str) -> None:
    with pytest.raises(Inexpressible, match=why) as raised:
        dialect.spell_average(average)
    assert "Instead: " in str(raised.value)


# Adapters


def kept_by(each: Any, dtype: str, average: Average) -> tuple[Any, Any]:
    """The averages of one framework and what sets its parameter."""
    initial = INITIAL.astype(dtype)
    if each is in_numpy:
        array = initial.copy()
        return each.Averages([array], average), lambda theta: array.__setitem__(..., theta)
    if each is in_torch:
        tensor = torch.tensor(initial)
        return each.Averages([tensor], average), lambda theta: tensor.copy_(torch.tensor(theta))
    variable = tf.Variable(initial)
    return each.Averages([variable], average), variable.assign


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("average", FURTHER_AVERAGES, ids=repr)
def test_averages_have_equal_bits_and_go_on_from_a_saved_state(
    average: Average, dtype: str
) -> None:
    """In three frameworks; saved after three updates, without pickle."""
    wide = "float32" if dtype == "float16" else dtype
    thetas = [theta.astype(wide) for theta in path(dtype)]
    expected = averaged(average, thetas, INITIAL.astype(dtype).astype(wide))[-1]
    for each in (in_numpy, in_torch, in_keras):
        averages, assign = kept_by(each, dtype, average)
        for theta in path(dtype)[:3]:
            assign(theta)
            averages.update()
        state = saved_and_loaded(averages.state_dict())
        averages.update()  # what was saved does not change with it
        resumed, assign = kept_by(each, dtype, average)
        resumed.load_state_dict(state)
        for theta in path(dtype)[3:]:
            assign(theta)
            resumed.update()
        (result,) = resumed.averages
        assert str(np.asarray(result).dtype) == wide
        assert np.asarray(result).tolist() == expected.tolist()


def saved_and_loaded(state: dict[str, Any]) -> dict[str, Any]:
    """The state after a way through a file that holds no code: torch's, or NumPy's and JSON."""
    arrays = state.get("averages", state.get("sums", []))
    if any(isinstance(array, torch.Tensor) for array in arrays):
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)
    name = "averages" if "averages" in state else "sums"
    plain = json.loads(json.dumps({**state, name: []}))
    return {**plain, name: [None if array is None else np.array(array) for array in arrays]}


def test_a_state_of_another_average_is_refused() -> None:
    """And one of other shapes, and what is no average."""
    state = in_numpy.Averages([np.zeros(2)], MovingAverage(start=Start.INITIAL)).state_dict()
    with pytest.raises(ValueError, match=r"must belong to EqualAverage\(\), got MovingAverage"):
        in_numpy.Averages([np.zeros(2)], EqualAverage()).load_state_dict(state)
    wider = in_numpy.Averages([np.zeros(3)], MovingAverage(start=Start.INITIAL))
    with pytest.raises(ValueError, match=r"must have the shapes \[\(3,\)\], got \[\(2,\)\]"):
        wider.load_state_dict(state)
    with pytest.raises(ValueError, match=r"average must be one such as MovingAverage.*got 0.9"):
        in_numpy.Averages([np.zeros(3)], 0.9)
