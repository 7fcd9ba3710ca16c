"""Rung 3, further natives: Keras 2, TensorFlow 1, optax and ONNX do what their dialects say."""

import inspect
from typing import Any

import numpy as np
import pytest

from samestep.parity.measure import cases, nearest_wrong
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.natives import check as natives
from samestep.parity.natives.check import NativeCase, NativeVerdict
from samestep.parity.runners import LIBRARIES, Native, Runner, runner_of
from samestep.parity.tests.support.one_tensor import verdict_on
from samestep.parity.tests.support.require import require
from samestep.reference import dialects
from samestep.reference.dialects.onnx import REFUSED

pytestmark = pytest.mark.rung(3)

FURTHER = [dialect for dialect in LIBRARIES if dialect in cases.FURTHER]
CALLS = [(dialect, call) for dialect in FURTHER for call in (*cases.FURTHER[dialect],
 *cases.STARTED)
         if call.startswith(f"{dialect}:")]  # fmt: skip


def installed(dialect: str) -> Runner:
    """The dialect's natives; skips the test with the reason where they are not installed, in CI an
    error.
    """
    for module in LIBRARIES[dialect].needs:
        require(module)
    return runner_of(dialect)


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize(("dialect", "call"), CALLS)
def test_native_agrees_with_its_dialect_or_deviates_as_recorded(
    dialect: str, call: str, dtype: str, full: bool
) -> None:
    """Strictly: a deviation must be there, have its recorded cause, and be no larger than
    recorded.
    """
    installed(dialect)
    modes = LIBRARIES[dialect].modes(dialects.parse(call)[1])
    for mode in modes:
        row = natives.check(
            NativeCase(call, mode, dtype), nearest_wrong.LONG if full else nearest_wrong.STEPS
        )
        assert row.verdict.holds, (
            f"{row.native} {row.call} in {row.dtype} {row.verdict}: {row.place}"
        )
    assert modes


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize(("dialect", "call"), CALLS)
def test_limit_of_a_native_keeps_out_the_nearest_wrong_rule(
    dialect: str, call: str, dtype: str
) -> None:
    """What the limit would let through is no verdict."""
    wrong = nearest_wrong.nearest_wrong(dialects.read(call), dtype)
    assert wrong.rejected, f"{call} in {dtype}: the limit lets through {wrong}"


OPTAX_ADAM = NativeCase("optax:adam(learning_rate=0.001)", "jit", "float32")


def test_native_of_another_rule_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict convicts, where a deviation is recorded too: optax' powers excuse no other
    epsilon.
    """
    wrong = dialects.read("optax:adam(learning_rate=0.001, eps=1e-7)")
    monkeypatch.setattr(NativeCase, "run", lambda self, trial: run_rule(wrong, trial, "float32"))
    assert natives.check(OPTAX_ADAM).verdict is NativeVerdict.DIFFERS


def test_mended_native_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A native that follows its dialect although a deviation is recorded makes the record out of
    date.
    """
    rule = dialects.read(OPTAX_ADAM.call)
    monkeypatch.setattr(NativeCase, "run", lambda self, trial: run_rule(rule, trial, "float32"))
    assert natives.check(OPTAX_ADAM).verdict is NativeVerdict.MENDED


def signatures() -> Any:
    """Every native's live signature: dialect, name, and the arguments with their defaults."""
    import optax
    import tensorflow as tf
    from tf_keras.optimizers import legacy

    places = {"optax": optax, "tensorflow1": tf.compat.v1.train, "tf_keras": legacy}
    for dialect, place in places.items():
        for name in dialects.find(dialect).natives:
            native = getattr(place, name)
            yield (
                dialect,
                name,
                inspect.signature(native if dialect == "optax" else native.__init__).parameters,
            )


def test_every_argument_and_default_of_the_native_is_read() -> None:
    """Reading a call with the native's own defaults spelled out changes nothing; the required are
    as required here.
    """
    for dialect in ("optax", "tensorflow1", "tf_keras"):
        installed(dialect)
    for dialect, name, parameters in signatures():
        empty = inspect.Parameter.empty
        named = {a: p for a, p in parameters.items() if a != "self" and p.kind is not p.VAR_KEYWORD}
        defaults = {argument: p.default for argument, p in named.items() if p.default is not empty}
        words = dialects.find(dialect)
        required = dict.fromkeys(words.natives[name].required, 0.5)
        assert set(required) == {argument for argument, p in named.items() if p.default is empty}
        assert words.read(name, **required, **defaults) == words.read(name, **required)
        mine = words.natives[name].defaults
        assert {a: defaults[a] for a in mine if a in defaults} == {
            a: v for a, v in mine.items() if a in defaults
        }


def test_keras_2_confirms_its_defaults_in_its_config() -> None:
    """``get_config`` of a native built without arguments, ``decay`` included."""
    installed("tf_keras")
    from tf_keras.optimizers import legacy

    for name, native in dialects.tf_keras.natives.items():
        config = getattr(legacy, name)().get_config()
        if (
            name == "Nadam"
        ):  # told under the name of what slows other optimizers; from_config then loses it
            assert getattr(legacy, name)(schedule_decay=0.5).get_config()["decay"] == 0.5
            config["schedule_decay"] = config["decay"]
        assert {argument: config[argument] for argument in native.defaults} == native.defaults
        assert dialects.tf_keras.read(name, **config) == dialects.tf_keras.read(name)


def test_onnx_schema_has_the_attributes_and_defaults_read() -> None:
    """Inputs aside, as the operators' schemas tell them, rounded to float32 as they are there."""
    installed("onnx")
    from onnx import defs

    for name, native in dialects.onnx.natives.items():
        attributes = defs.get_schema(name, 1, dialects.onnx.prefix).attributes
        inputs = {"R", "H"}
        taken = {*native.arguments, *REFUSED.get(name, ())} - inputs
        assert taken == set(attributes)
        assert {a for a, told in attributes.items() if told.required} == set(
            native.required
        ) - inputs
        theirs = {
            a: told.default_value.f
            for a, told in attributes.items()
            if not told.required and a in native.defaults
        }
        mine = {
            a: float(np.float32(value)) for a, value in native.defaults.items() if a not in inputs
        }
        assert theirs == mine


def test_optax_without_a_learning_rate_climbs() -> None:
    """``optax.adadelta()`` has no minus sign; that is what its dialect reads."""
    rule = dialects.optax.read("adadelta")
    assert rule.maximize
    trial = nearest_wrong.designed_trial(rule).replace(rate_factors=np.ones(nearest_wrong.STEPS))
    native = Native(dialects.Call("adadelta", {"learning_rate": None}), "jit")
    actual = installed("optax").run_native(native, trial, "float64")
    assert verdict_on(rule, trial, actual, "float64").holds


def test_natives_that_are_not_installed_fail_in_ci_and_are_left_out_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A skip that says why, an error in CI, a reason for the command."""
    without = LIBRARIES["optax"]._replace(needs=("no_such_module",))
    monkeypatch.setitem(LIBRARIES, "optax", without)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no_such_module is not installed"):
        installed("optax")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ImportError):
        installed("optax")
    present, absent = natives.installed()
    assert "optax" not in present
    assert absent["optax"] == "no_such_module is not installed"
    with pytest.raises(ValueError, match="no native matches; run without --call"):
        natives.select(natives.Selection(call="optax:adam(learning_rate=0.001)"))
