"""Accumulation: the last, incomplete window, weights, and a saved window."""

import re
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.frameworks.numpy import Optimizer
from samestep.parity.measure import streams
from samestep.reference import SGD
from samestep.reference.parts import Accumulation, Total

pytestmark = pytest.mark.rung(2)

FRAMEWORKS = [in_numpy, in_torch, in_keras]
LABELS = ["numpy", "torch", "keras"]
MAKE = {in_numpy: np.array, in_torch: torch.tensor, in_keras: tf.constant}


def test_finish_steps_with_the_mean_of_the_rest() -> None:
    """Six gradients of 1, a step in four, at rate 0.1: two steps of 0.1."""
    theta = np.zeros(1)
    optimizer = Optimizer([theta], SGD(lr=0.1))
    accumulator = in_numpy.Accumulator(Accumulation(steps=4))
    for _ in range(6):
        gradients = accumulator.add([np.ones(1)])
        if gradients is not None:
            optimizer.step(gradients)
    assert theta.tolist() == [-0.1]
    assert accumulator.pending == 2
    optimizer.step(accumulator.finish())
    assert theta.tolist() == [-0.2]
    assert accumulator.pending == 0
    assert accumulator.finish() is None


def test_keras_carries_the_rest_over() -> None:
    """Its two gradients of the first epoch wait for two of the next."""
    variable = tf.Variable([0.0])
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=4)
    optimizer.build([variable])
    results = []
    for _ in range(8):
        optimizer.apply([tf.constant([1.0])])
        results.append(float(variable.numpy()[0]))
    assert results == [0.0, 0.0, 0.0, -0.5, -0.5, -0.5, -0.5, -1.0]


@pytest.mark.parametrize("each", FRAMEWORKS, ids=LABELS)
def test_batches_count_by_their_weights(each: Any) -> None:
    """Ten tokens with gradient 1 and a hundred with 0: 10 / 110, not 1 / 2."""
    accumulator = each.Accumulator(Accumulation(steps=2))
    assert accumulator.add([MAKE[each](np.ones(1))], weight=10) is None
    (gradient,) = accumulator.add([MAKE[each](np.zeros(1))], weight=100)
    assert round(float(np.asarray(gradient)[0]), 6) == 0.090909
    accumulator.add([MAKE[each](np.ones(1))], weight=10)
    empty = [MAKE[each](np.array([np.nan]))]  # no tokens, so no mean
    (gradient,) = accumulator.add(empty, weight=0)
    assert float(np.asarray(gradient)[0]) == 1.0


@pytest.mark.parametrize("total", Total)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_window_goes_on_from_a_saved_state(dtype: str, total: Total) -> None:
    """In the middle, with weights, with equal bits in all frameworks; and so does its rest."""
    gradients = [streams.normal((5,), 7 + step).astype(dtype) for step in range(5)]
    accumulation = Accumulation(steps=3, total=total)
    results = []
    for each in FRAMEWORKS:
        unbroken = each.Accumulator(accumulation)
        for number, gradient in enumerate(gradients[:2]):
            unbroken.add([MAKE[each](gradient), None], weight=number + 0.5)
        state = unbroken.state_dict()
        resumed = each.Accumulator(accumulation)
        resumed.load_state_dict(state)
        due = [x.add([MAKE[each](gradients[2]), None], 0.75) for x in (unbroken, resumed)]
        for x in (unbroken, resumed):
            assert x.add([MAKE[each](gradients[3]), None]) is None
        due += [x.finish() for x in (unbroken, resumed)]
        assert all(result[1] is None for result in due)
        first, second, third, fourth = (np.asarray(result[0]) for result in due)
        assert (first.tolist(), third.tolist()) == (second.tolist(), fourth.tolist())
        assert {str(x.dtype) for x in (first, second, third, fourth)} == {dtype}
        assert third.tolist() == gradients[3].tolist()
        results.append(first.tolist())
    assert results[0] == results[1] == results[2]


def test_gradients_that_no_step_uses_are_reported() -> None:
    """When the accumulator goes, unless its state was saved."""
    accumulator = in_numpy.Accumulator(Accumulation(steps=4))
    accumulator.add([np.ones(1)])
    accumulator.add([np.ones(1)])
    saved = in_numpy.Accumulator(Accumulation(steps=4))
    saved.add([np.ones(1)])
    saved.state_dict()
    message = "2 of 4 gradients were accumulated and never used; call finish()"
    with pytest.warns(UserWarning, match=re.escape(message)) as warned:
        del accumulator, saved  # CPython frees both at once
    assert len(warned) == 1


def test_mistakes_are_named() -> None:
    accumulator = in_numpy.Accumulator(Accumulation(steps=2))
    for weight in (-1.0, float("nan"), float("inf"), "3", True):
        with pytest.raises(ValueError, match=r"weight must be a number in \[0, inf\), got"):
            accumulator.add([np.ones(1)], weight)
    accumulator.add([np.ones(1)], weight=0)
    with pytest.raises(ValueError, match="sum above 0, got 1 batches of weight 0"):
        accumulator.finish()
    accumulator.state_dict()
    state = in_numpy.Accumulator(Accumulation(steps=3)).state_dict()
    with pytest.raises(ValueError, match=r"must belong to Accumulation\(steps=2\), got Accum"):
        accumulator.load_state_dict(state)
    with pytest.raises(ValueError, match=r"must be one such as Accumulation\(steps=4\), got 4"):
        in_numpy.Accumulator(4)
