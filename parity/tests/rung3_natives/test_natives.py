"""Rung 3, natives: torch.optim and keras.optimizers do what their dialects say."""

import dataclasses

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

from samestep.parity.measure import nearest_wrong, streams
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.natives import check as natives
from samestep.parity.natives import deviations
from samestep.parity.natives.check import NativeCase, NativeVerdict
from samestep.parity.runners import keras as keras_runner
from samestep.parity.tests.support.one_tensor import trial_of, verdict_on
from samestep.reference import dialects, follow

pytestmark = pytest.mark.rung(3)

CASES = [*natives.every("pytorch"), *natives.every("keras")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.call} {case.mode} {case.dtype}")
def test_native_agrees_with_its_dialect_or_deviates_as_recorded(
    case: NativeCase, full: bool
) -> None:
    """Strictly: a deviation must be there, have its recorded cause, and be no larger than
    recorded.
    """
    row = natives.check(case, nearest_wrong.LONG if full else nearest_wrong.STEPS)
    assert row.verdict.holds, f"{row.native} {row.call} in {row.dtype} {row.verdict}: {row.place}"


@pytest.mark.parametrize("shape", [(24,), (2, 3, 4)])
@pytest.mark.parametrize(
    "case", [case for case in CASES if "epsilon_1=0.000001" in case.call or "d=2.0" in case.call]
)
def test_adafactor_factors_what_the_native_factors(
    case: NativeCase, shape: tuple[int, ...]
) -> None:
    """Not a vector, and of three dimensions the last two."""
    steps = 9
    start = streams.start(24).reshape(shape)
    gradients = streams.gradients("spread", steps, streams.SCALES[-24:]).reshape(steps, *shape)
    trial = trial_of(start, gradients, streams.rates(1.0, steps))
    verdict = verdict_on(dialects.read(case.call), trial, case.run(trial), case.dtype)
    assert verdict.holds, f"{case.title} on {shape} in {case.dtype}: {verdict}"


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize("shape", [(24,), (2, 3, 4), (), (24, 1), (1, 24), (6, 4)])
def test_keras_muon_moves_by_adam_what_the_rule_does(shape: tuple[int, ...], dtype: str) -> None:
    """All but matrices, whatever their shape."""
    numbers = (
        "learning_rate=0.125, adam_lr_ratio=0.5, adam_beta_1=0.75, adam_beta_2=0.875, epsilon=0.5"
    )
    call = f"keras:Muon({numbers}, weight_decay=0.5, adam_weight_decay=0.25)"
    steps = 9
    size = int(np.prod(shape))
    start, scales = streams.start(size).reshape(shape), streams.SCALES[-size:]
    gradients = streams.gradients("spread", steps, scales).reshape(steps, *shape)
    trial = trial_of(start, gradients, streams.rates(1.0, steps))
    verdict = verdict_on(
        dialects.read(call), trial, NativeCase(call, "eager", dtype).run(trial), dtype
    )
    assert verdict.holds, f"{shape} in {dtype}: {verdict}"


# where the first steps of a tensor of zeros, or weight decay, show what no everyday trial does
HIDDEN = [
    ("keras:Lamb()", "float32"), ("keras:Muon()", "float32"), ("keras:Muon()", "float64"),
    ("keras:Adadelta(learning_rate=0.125, weight_decay=0.1)", "float64"),
    ("keras:Adafactor(learning_rate=0.125, epsilon_2=0.1)", "float64"),
    ("keras:Adafactor(learning_rate=0.125, weight_decay=0.1)", "float64"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "dtype"), HIDDEN)
def test_deviation_that_no_trial_shows_is_there(call: str, dtype: str) -> None:
    """Keras keeps to the recorded cause alone, not to the rule."""
    rule, steps = dialects.read(call), 2
    start = streams.start(24) if "weight_decay" in call else np.zeros(24)
    trial = trial_of(start, streams.gradients("spread", steps, streams.SCALES[-24:]))
    actual = NativeCase(call, "eager", dtype).run(trial)
    known = deviations.find("keras", "eager", dtype, rule)
    assert known
    assert known[0].sizes[type(rule).__name__] == 0
    assert natives.compare_with(known[1], trial, actual, dtype, known[0].scalars_in).holds
    assert not verdict_on(rule, trial, actual, dtype).holds


def test_adafactor_without_epsilon_is_read_as_on_float32() -> None:
    """None is the machine epsilon there, which holds for float32 weights and for no others."""
    call = "pytorch:Adafactor(lr=0.05)"
    verdicts = [
        natives.check(NativeCase(call, "for-loop", dtype)).verdict for dtype in natives.DTYPES
    ]
    assert verdicts == [NativeVerdict.AGREES, NativeVerdict.DIFFERS]


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize("call", sorted({case.call for case in CASES}))
def test_limit_of_a_native_keeps_out_the_nearest_wrong_rule(call: str, dtype: str) -> None:
    """What the limit would let through is no verdict."""
    wrong = nearest_wrong.nearest_wrong(dialects.read(call), dtype)
    assert wrong.rejected, f"{call} in {dtype}: the limit lets through {wrong}"


STATEFUL = [
    call
    for call in dict.fromkeys(case.call for case in CASES)
    if dialects.read(call).start(np.zeros((1, 1)), np)
]


@pytest.mark.parametrize("call", STATEFUL)
def test_natives_keep_each_state_under_the_name_that_the_dialect_gives(call: str) -> None:
    """What a native keeps there is nearer to that state of the rule than to any other."""
    rule, names = (
        dialects.read(call),
        dialects.find(call.partition(":")[0]).state_names(dialects.read(call)),
    )
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", 5)),
    )
    *_, (_, state) = follow(rule, start, gradients, np)
    theirs = _states_of_the_native(call, start, gradients)
    for name in state:
        if not names[name]:
            continue
        kept = theirs[names[name]]
        # signs may differ
        gaps = {other: np.abs(np.abs(kept) - np.abs(array)).max() for other, array in state.items()}
        assert kept.shape == np.shape(state[name])
        nearest = min(gaps, key=gaps.__getitem__)
        assert nearest == name, f"{call}: {names[name]!r} holds {nearest}, not {name}"


def _states_of_the_native(
    call: str, start: np.ndarray, gradients: np.ndarray
) -> dict[str, np.ndarray]:
    """What the live native keeps, by the last part of its name."""
    dialect, name, arguments = dialects.parse(call)
    native_call = dialects.Call(name, arguments)
    if dialect == "pytorch":
        from samestep.frameworks.pytorch import native as torch_native

        parameter = torch.nn.Parameter(torch.tensor(start))
        optimizer = torch_native.optimizer([parameter], native_call)
        for gradient in gradients:
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
        return {key: value.numpy() for key, value in optimizer.state[parameter].items()}
    from samestep.frameworks.tensorflow import native as keras_native

    variable = keras.Variable(start, dtype="float64", name="theta")
    optimizer = keras_native.optimizer([variable], native_call)
    for gradient in gradients:
        with keras_runner.floatx(native_call, "float64"):
            optimizer.apply([tf.constant(gradient)])
    return {v.name.removeprefix("theta_"): v.numpy() for v in optimizer.variables}


def test_native_of_another_rule_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict convicts: a native that follows another call is not excused."""
    case = next(case for case in CASES if case.call == "pytorch:Adam(lr=0.001)")
    wrong = dataclasses.replace(case, call="pytorch:Adam(lr=0.001, weight_decay=0.001)")
    monkeypatch.setattr(NativeCase, "run", lambda self, trial: run_by_rule(wrong, trial))
    assert natives.check(case).verdict is NativeVerdict.DIFFERS


def run_by_rule(case: NativeCase, trial: Trial) -> Trajectory:
    """A native's run by the rule of its call, in NumPy."""
    return run_rule(dialects.read(case.call), trial, case.dtype)


KERAS_ADAM = next(
    case
    for case in CASES
    if case.call == "keras:Adam(learning_rate=0.001)" and case.dtype == "float64"
)


def test_mended_native_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a native follows its dialect to the digit although a deviation is recorded, the record
    is out of date.
    """
    monkeypatch.setattr(NativeCase, "run", run_by_rule)
    assert natives.check(KERAS_ADAM).verdict is NativeVerdict.MENDED


def test_larger_deviation_than_recorded_is_not_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded size is a limit of its own."""
    assert natives.check(KERAS_ADAM).verdict is NativeVerdict.RECORDED
    smaller = tuple(
        dataclasses.replace(d, sizes={k: v / 2 for k, v in d.sizes.items()})
        for d in deviations.DEVIATIONS
    )
    monkeypatch.setattr(deviations, "DEVIATIONS", smaller)
    assert natives.check(KERAS_ADAM).verdict is NativeVerdict.DIFFERS
