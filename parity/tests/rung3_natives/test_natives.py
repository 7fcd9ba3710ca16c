"""Rung 3, natives: torch.optim and keras.optimizers do what their dialects say."""

import dataclasses

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

from samestep.parity.measure import limits, nearest_wrong, streams
from samestep.parity.measure import verdict as verdicts
from samestep.parity.natives import check as natives
from samestep.parity.natives import deviations
from samestep.parity.runners.natives import keras_natives
from samestep.reference import dialects, follow

pytestmark = pytest.mark.rung(3)

WITNESSES = [witness for dialect in ("pytorch", "keras") for witness in natives.every(dialect)]


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: f"{w.call} {w.kind} {w.dtype}")
def test_native_agrees_with_its_dialect_or_deviates_as_recorded(witness: natives.Witness, full: bool) -> None:
    """Strictly: a deviation must be there, have its recorded cause, and be no larger than recorded."""
    row = natives.hold(witness, nearest_wrong.LONG if full else nearest_wrong.STEPS)
    assert row.verdict in natives.HOLDS, f"{row.witness} {row.call} in {row.dtype} {row.verdict}: {row.told}"


@pytest.mark.parametrize("shape", [(24,), (2, 3, 4)])
@pytest.mark.parametrize("witness", [w for w in WITNESSES if "epsilon_1=0.000001" in w.call or "d=2.0" in w.call])
def test_adafactor_factors_what_the_native_factors(witness: natives.Witness, shape: tuple[int, ...]) -> None:
    """Not a vector, and of three dimensions the last two."""
    rule, steps = dialects.read(witness.call), 9
    start = streams.start(24).reshape(shape)
    gradients = streams.gradients("spread", steps, streams.SCALES[-24:]).reshape(steps, *shape)
    trial = nearest_wrong.TensorTrial(start, gradients, streams.rates(rule.lr, steps))
    bounds = limits.bounds(rule, start, gradients, witness.dtype, trial.rates)
    expected = verdicts.run(rule, start, gradients, "float64", trial.rates)
    verdict = verdicts.compare(start, expected, witness.run(trial), bounds)
    assert verdict.holds, f"{witness.name} on {shape} in {witness.dtype}: {verdict}"


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize("shape", [(24,), (2, 3, 4), (), (24, 1), (1, 24), (6, 4)])
def test_keras_muon_moves_by_adam_what_the_rule_does(shape: tuple[int, ...], dtype: str) -> None:
    """All but matrices, whatever their shape."""
    call = "keras:Muon(learning_rate=0.125, adam_lr_ratio=0.5, adam_beta_1=0.75, adam_beta_2=0.875, epsilon=0.5, "
    rule, steps = dialects.read(f"{call}weight_decay=0.5, adam_weight_decay=0.25)"), 9
    size = int(np.prod(shape))
    start, scales = streams.start(size).reshape(shape), streams.SCALES[-size:]
    gradients = streams.gradients("spread", steps, scales).reshape(steps, *shape)
    trial = nearest_wrong.TensorTrial(start, gradients, streams.rates(rule.lr, steps))
    bounds = limits.bounds(rule, start, gradients, dtype, trial.rates)
    expected = verdicts.run(rule, start, gradients, "float64", trial.rates)
    actual = natives.Witness(f"{call}weight_decay=0.5, adam_weight_decay=0.25)", "eager", dtype).run(trial)
    verdict = verdicts.compare(start, expected, actual, bounds)
    assert verdict.holds, f"{shape} in {dtype}: {verdict}"


HIDDEN = [  # where the first steps of a tensor of zeros, or weight decay, show what no everyday trial does
    ("keras:Lamb()", "float32"), ("keras:Muon()", "float32"),
    ("keras:Adadelta(learning_rate=0.125, weight_decay=0.1)", "float64"),
    ("keras:Adafactor(learning_rate=0.125, epsilon_2=0.1)", "float64"),
    ("keras:Adafactor(learning_rate=0.125, weight_decay=0.1)", "float64"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "dtype"), HIDDEN)
def test_deviation_that_no_trial_shows_is_there(call: str, dtype: str) -> None:
    """Keras keeps to the recorded cause alone, not to the rule."""
    rule, steps = dialects.read(call), 2
    start = streams.start(24) if "weight_decay" in call else np.zeros(24)
    trial = nearest_wrong.TensorTrial(
        start, streams.gradients("spread", steps, streams.SCALES[-24:]), [rule.lr] * steps
    )
    actual = natives.Witness(call, "eager", dtype).run(trial)
    known = deviations.find("keras", "eager", dtype, rule)
    assert known
    assert known[0].sizes[type(rule).__name__] == 0
    assert natives._explained(known[1], dtype, known[0].scalars_in, trial, actual).holds
    bounds = limits.bounds(rule, *trial[:2], dtype, trial.rates)
    expected = verdicts.run(rule, *trial[:2], "float64", trial.rates)
    assert not verdicts.compare(trial.start, expected, actual, bounds).holds


def test_adafactor_without_epsilon_is_read_as_on_float32() -> None:
    """None is the machine epsilon there, which holds for float32 weights and for no others."""
    holds = [natives.hold(natives.Witness("pytorch:Adafactor(lr=0.05)", "for-loop", d)).verdict for d in natives.DTYPES]
    assert holds == ["agrees", "differs"]


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize("call", sorted({witness.call for witness in WITNESSES}))
def test_limit_of_a_native_keeps_out_the_nearest_wrong_rule(call: str, dtype: str) -> None:
    """What the limit would let through is no verdict."""
    wrong = nearest_wrong.nearest_wrong(dialects.read(call), dtype)
    assert wrong.kept_out, f"{call} in {dtype}: the limit lets through {wrong}"


STATEFUL = [
    call
    for call in dict.fromkeys(witness.call for witness in WITNESSES)
    if dialects.read(call).start(np.zeros((1, 1)), np)
]


@pytest.mark.parametrize("call", STATEFUL)
def test_natives_keep_each_state_under_the_name_that_the_dialect_gives(call: str) -> None:
    """What a native keeps there is nearer to that state of the rule than to any other."""
    rule, names = dialects.read(call), dialects.find(call.partition(":")[0]).state_names(dialects.read(call))
    start, gradients = streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients("spread", 5))
    *_, (_, state) = follow(rule, start, gradients, np)
    theirs = _states_of_the_native(call, start, gradients)
    for name in state:
        if not names[name]:
            continue
        kept = theirs[names[name]]
        gaps = {other: np.abs(np.abs(kept) - np.abs(array)).max() for other, array in state.items()}  # signs may differ
        assert kept.shape == np.shape(state[name])
        nearest = min(gaps, key=gaps.__getitem__)
        assert nearest == name, f"{call}: {names[name]!r} holds {nearest}, not {name}"


def _states_of_the_native(call: str, start: np.ndarray, gradients: np.ndarray) -> dict[str, np.ndarray]:
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
        with keras_natives.floatx(native_call, "float64"):
            optimizer.apply([tf.constant(gradient)])
    return {v.name.removeprefix("theta_"): v.numpy() for v in optimizer.variables}


def test_native_of_another_rule_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict convicts: a native that follows another call is not excused."""
    witness = next(w for w in WITNESSES if w.call == "pytorch:Adam(lr=0.001)")
    other = dataclasses.replace(witness, call="pytorch:Adam(lr=0.001, weight_decay=0.001)")
    monkeypatch.setattr(natives.Witness, "run", lambda self, trial: other_run(other, trial))
    assert natives.hold(witness).verdict == "differs"


def other_run(witness: natives.Witness, trial: nearest_wrong.TensorTrial) -> np.ndarray:
    """A native's run by the rule of its call, in NumPy."""
    return verdicts.run(dialects.read(witness.call), trial.start, trial.gradients, witness.dtype, trial.rates)


def test_mended_native_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a native follows its dialect to the digit although a deviation is recorded, the record is out of date."""
    witness = next(w for w in WITNESSES if w.call == "keras:Adam(learning_rate=0.001)" and w.dtype == "float64")
    monkeypatch.setattr(natives.Witness, "run", other_run)
    assert natives.hold(witness).verdict == "mended"


def test_larger_deviation_than_recorded_is_not_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded size is a limit of its own."""
    witness = next(w for w in WITNESSES if w.call == "keras:Adam(learning_rate=0.001)" and w.dtype == "float64")
    assert natives.hold(witness).verdict == "deviates as recorded"
    smaller = tuple(dataclasses.replace(d, sizes={k: v / 2 for k, v in d.sizes.items()}) for d in deviations.DEVIATIONS)
    monkeypatch.setattr(deviations, "DEVIATIONS", smaller)
    assert natives.hold(witness).verdict == "differs"
