"""Rung 3, natives: torch.optim and keras.optimizers do what their dialects say."""

import dataclasses

import numpy as np
import pytest

from parity import court, deviations, natives, trajectory
from parity.require import require
from reference import dialects

require("torch")
require("tensorflow")

WITNESSES = [witness for dialect in ("pytorch", "keras") for witness in natives.every(dialect)]


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: f"{w.call} {w.kind} {w.dtype}")
def test_native_agrees_with_its_dialect_or_deviates_as_recorded(witness: natives.Witness) -> None:
    """Strictly: a deviation must be there, have its recorded cause, and be no larger than recorded."""
    row = natives.hold(witness)
    assert row.verdict in natives.HOLDS, f"{row.witness} {row.call} in {row.dtype} {row.verdict}: {row.told}"


@pytest.mark.parametrize("dtype", natives.DTYPES)
@pytest.mark.parametrize("call", sorted({witness.call for witness in WITNESSES}))
def test_limit_of_a_native_keeps_out_the_nearest_wrong_rule(call: str, dtype: str) -> None:
    """What the limit would let through is no verdict."""
    wrong = court.nearest_wrong(dialects.read(call), dtype)
    assert wrong.kept_out, f"{call} in {dtype}: the limit lets through {wrong}"


def test_native_of_another_rule_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict convicts: a native that follows another call is not excused."""
    witness = next(w for w in WITNESSES if w.call == "pytorch:Adam(lr=0.001)")
    other = dataclasses.replace(witness, call="pytorch:Adam(lr=0.001, weight_decay=0.001)")
    monkeypatch.setattr(natives.Witness, "run", lambda self, trial: other_run(other, trial))
    assert natives.hold(witness).verdict == "differs"


def other_run(witness: natives.Witness, trial: court.Trial) -> np.ndarray:
    """A native's run by the rule of its call, in NumPy."""
    return trajectory.run(dialects.read(witness.call), trial.start, trial.gradients, witness.dtype, trial.rates)


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
