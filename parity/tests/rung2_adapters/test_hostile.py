"""Rung 2 where it hurts: extreme values, large tensors, rising rates, late steps; the bits are
still NumPy's.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.frameworks.tensorflow import native
from samestep.parity.measure import cases, streams
from samestep.parity.natives import hostile
from samestep.parity.natives.hostile import AdapterVerdict
from samestep.parity.tests.support.require import LEFT_OUT, compiler
from samestep.reference import (
    ASGD,
    FTRL,
    LAMB,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    Rule,
    ScheduleFree,
)

pytestmark = pytest.mark.rung(2)

RULES = [
    SGD(momentum=0.5), Adagrad(), Adadelta(), RMSprop(centered=True), Adam(amsgrad=True),
    ASGD(lambd=0.5), Rprop(),
    FTRL(l1=0.01), Adamax(), NAdam(), RAdam(beta2=0.9), ScheduleFree(warmup=2.0), Lion(lr=0.01),
    LAMB(), Adafactor(), Muon(),
]  # fmt: skip
needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler; none was found"
)
MODES = [
    "torch eager", pytest.param("torch compiled", marks=[needs_compiler, pytest.mark.compiled]),
    "tensorflow eager", "tensorflow graph",
]  # fmt: skip

Step = Callable[[np.ndarray, float], np.ndarray]  # gradient and rate to the new parameters


def stepper(mode: str, rule: Rule, start: np.ndarray, t: int = 0) -> Step:
    """A function that takes one step after another, beginning after step ``t``, on a copy of
    ``start``.
    """
    framework, how = mode.split()
    if framework == "numpy":
        return _numpy(rule, start.copy(), t)
    return (
        _torch(rule, start, t, how == "compiled")
        if framework == "torch"
        else _tensorflow(rule, start, t, how)
    )


def _numpy(rule: Rule, theta: np.ndarray, t: int) -> Step:
    optimizer = samestep.frameworks.numpy.Optimizer([theta], rule)
    optimizer.t[0] = t

    def step(gradient: np.ndarray, rate: float) -> np.ndarray:
        optimizer.lr = rate
        optimizer.step([gradient])
        return theta

    return step


def _torch(rule: Rule, start: np.ndarray, t: int, compiled: bool) -> Step:
    parameter = torch.nn.Parameter(torch.tensor(start))
    optimizer = samestep.frameworks.pytorch.Optimizer([parameter], rule)
    optimizer.zero_grad()
    torch.compiler.reset()
    take = torch.compile(optimizer.step) if compiled else optimizer.step

    def step(gradient: np.ndarray, rate: float) -> np.ndarray:
        parameter.grad = torch.tensor(gradient)
        optimizer.param_groups[0]["lr"] = rate
        if optimizer.state[parameter].get("step", -1) == 1:
            optimizer.state[parameter]["step"] += t
        take()
        assert np.array_equal(parameter.grad.numpy(), gradient, equal_nan=True), (
            "the gradient was written to"
        )
        return parameter.detach().numpy()

    return step


def _tensorflow(rule: Rule, start: np.ndarray, t: int, mode: str) -> Step:
    variable = keras.Variable(start, dtype=start.dtype.name)
    optimizer = samestep.frameworks.tensorflow.Optimizer(rule)
    optimizer.build([variable])
    apply = native.in_mode(optimizer, mode)

    def step(gradient: np.ndarray, rate: float) -> np.ndarray:
        optimizer.learning_rate = rate
        if optimizer._steps.numpy().tolist() == [1]:
            optimizer._steps.assign_add([t])
        apply([tf.constant(gradient)])
        return variable.numpy()

    return step


def leave_out(rule: Rule, mode: str) -> None:
    """Skip what takes seconds to compile, but for the everyday rules."""
    if mode == "torch compiled" and type(rule).__name__ not in cases.EVERYDAY:
        pytest.skip(LEFT_OUT)


def hold_to_numpy(
    mode: str, rule: Rule, start: np.ndarray, gradients: Any, rates: list[float]
) -> np.ndarray:
    """Assert equal bits after every step; the last parameters."""
    ours, numpys = stepper(mode, rule, start), stepper("numpy here", rule, start)
    for gradient, rate in zip(gradients, rates, strict=True):
        expected = numpys(gradient, rate)
        np.testing.assert_array_equal(ours(gradient, rate), expected)
    return expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_extreme_gradients_and_parameters(rule: Rule, mode: str, full: bool) -> None:
    """Tiny, huge, infinite, not a number: nothing is clipped, nothing is hidden."""
    if not full:
        leave_out(rule, mode)
    gradient = np.array(
        [1e-15, -1e-15, 3e-12, 1e3, -1e6, np.nan, np.inf, -np.inf, 0.0, 1.0], np.float32
    )
    start = np.array([0, 0, 0, 1e3, -1e4, 1, 1, 1, 1e5, -1e5], np.float32)
    end = hold_to_numpy(mode, rule, start, [gradient, -gradient / 2, gradient], [rule.lr] * 3)
    assert np.isnan(end[5])
    assert (end[[3, 4]] != start[[3, 4]]).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_matrix_with_one_element_that_is_no_number_is_none(bad: float, mode: str) -> None:
    """A step of Muon mixes all elements; nothing hides that."""
    gradient = np.array([[1, 2, 3], [4, bad, 6]], np.float32)
    assert np.isnan(
        hold_to_numpy(mode, Muon(), np.ones((2, 3), np.float32), [gradient], [0.5])
    ).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_large_tensors_and_rising_rates(rule: Rule, mode: str, full: bool) -> None:
    """Thousands of elements, and rates above the rule's own, as in a warm-up."""
    if not full:
        leave_out(rule, mode)
    gradients = streams.gradients("spread", 4, np.logspace(-4, 1, 5001)).astype(np.float32)
    rates = [rule.lr * factor for factor in (1, 2, 3, 0.7)]
    hold_to_numpy(mode, rule, streams.start(5001).astype(np.float32), gradients, rates)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("t", [100, 254, 2048, 2**15, 2**16, 2**24, 2**31])
def test_late_steps(t: int, mode: str) -> None:
    """The step number does not overflow, stall or lose digits."""
    rule, gradient = Adam(beta1=1 - 2.0**-20, beta2=1 - 2.0**-21), np.array([1.0, -2, 3, -4, 5])
    theta = np.ones(5)
    optimizer = samestep.frameworks.numpy.Optimizer([theta], rule)
    optimizer.step([gradient])
    optimizer.t[0] += t
    optimizer.step([gradient])
    step = stepper(mode, rule, np.ones(5), t)
    step(gradient, rule.lr)
    assert step(gradient, rule.lr).tolist() == theta.tolist()


CALLS = [calls[0] for calls in cases.PLAIN.values()]


@pytest.mark.parametrize("name", hostile.CASES)
@pytest.mark.parametrize("call", CALLS)
def test_ours_do_as_the_reference_does_on_every_hostile_case(call: str, name: str) -> None:
    """In PyTorch and TensorFlow; subnormal gradients alone may be flushed, and by TensorFlow
    alone.
    """
    row = hostile.measure(name, call)
    assert row.holds, row.ours
    if AdapterVerdict.FLUSHES in row.ours.values():
        assert (name, row.ours["pytorch"]) == ("subnormal", AdapterVerdict.EQUAL_BITS)


HOSTILE_FACTS = [  # what makes the table worth reading; each was met by running the native
    ("zero", "pytorch:Adam(lr=0.001)", "the same", ""),
    (
        "sparse with duplicates",
        "pytorch:Adam(lr=0.001)",
        "refuses",
        "does not support sparse gradients",
    ),
    ("sparse with duplicates", "pytorch:Adagrad(lr=0.01)", "the same", ""),
    ("sparse with duplicates", "keras:Adagrad(learning_rate=0.01)", "differs", "BEYOND the limit"),
    ("sparse with duplicates", "keras:SGD(learning_rate=0.01)", "the same", ""),
    ("no gradient", "keras:Adam(learning_rate=0.001)", "differs", "at step 4|at step 5"),
    ("no gradient", "pytorch:Adam(lr=0.001)", "the same", ""),
    ("not a number", "pytorch:Rprop(lr=0.0001)", "differs", "8 moved"),
    ("one huge element", "keras:Adam(learning_rate=0.001)", "differs", "1 not a number"),
    ("bfloat16", "keras:Adam(learning_rate=0.001)", "differs", "8 at rest"),
    ("alternating signs", "keras:Adam(learning_rate=0.001)", "deviates as recorded", "1 - beta"),
    ("float16", "pytorch:Adam(lr=0.001)", "differs", "3 infinite"),
]


@pytest.mark.parametrize(("name", "call", "behaviour", "pattern"), HOSTILE_FACTS)
def test_what_natives_do_is_told_not_hidden(
    name: str, call: str, behaviour: str, pattern: str
) -> None:
    """A native that differs, refuses or deviates is a fact with its place."""
    row = hostile.measure(name, call)
    assert row.native == behaviour, row.message
    assert re.search(pattern, row.message), row.message


def test_one_other_bit_of_ours_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table can say no."""
    right = hostile.run_adapter

    def nudged(framework: str, rule: Rule, case: hostile.HostileCase) -> np.ndarray:
        thetas = right(framework, rule, case)
        thetas[2, 5] = np.nextafter(thetas[2, 5], np.float32(1))
        return thetas

    monkeypatch.setattr(hostile, "run_adapter", nudged)
    row = hostile.measure("zero", "pytorch:Adam(lr=0.001)")
    assert not row.holds
    assert row.ours["pytorch"].startswith("differs: step 3, element (5,): ")


def test_hostile_cases_are_what_they_are_called() -> None:
    """Duplicates are named twice, twelve orders are twelve, the largest is the largest."""
    gradients = {name: case.trial.gradients[hostile.TENSOR] for name, case in hostile.CASES.items()}
    sparse = hostile.CASES["sparse with duplicates"].trial.sparse[hostile.TENSOR][0]
    assert len(set(sparse.rows)) < len(sparse.rows)
    assert np.array_equal(sparse.dense((4, 2))[2], sparse.values[0] + sparse.values[2])
    assert gradients["sparse with duplicates"][0, 1].tolist() == [0.0, 0.0]
    everyday = streams.gradients("spread", hostile.STEPS, np.logspace(-3, 0, hostile.SIZE))
    fading = np.abs(gradients["shrinking by 12 orders"] / everyday)
    assert np.log10(fading[[0, -1], 0]).round(6).tolist() == [0.0, -12.0]
    assert (
        0 < np.abs(gradients["subnormal"][1].astype(np.float32)).max() < np.finfo(np.float32).tiny
    )
    assert np.abs(gradients["the largest finite"]).max() == np.finfo(np.float32).max
    assert np.isfinite(gradients["the largest finite"]).all()
    assert not hostile.CASES["no gradient"].trial.present[hostile.TENSOR][1]
    assert hostile.CASES["not contiguous"].trial.transposed


def test_hostile_table_is_written(tmp_path: Path) -> None:
    """There is a row for each call and case; an unknown rule is refused by name."""
    rows = []
    for call in hostile.calls(["SGD"]):
        rows += [hostile.measure(case, call) for case in ("zero", "no gradient")]
    hostile.save(rows, tmp_path / "hostile.json")
    written = json.loads((tmp_path / "hostile.json").read_text())["rows"]
    expected = [(call, case) for call in cases.PLAIN["SGD"] for case in ("zero", "no gradient")]
    assert [(row["call"], row["case"]) for row in written] == expected
    assert all(row["holds"] for row in written)
    with pytest.raises(ValueError, match=r"rules must be some of SGD, .*, got Atom"):
        hostile.calls(["Adam", "Atom"])
