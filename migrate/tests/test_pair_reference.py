"""Keras as the reference: its record is judged against live PyTorch, at the same stages."""

import warnings
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import keras, torch

# isort: split
from samestep.migrate.pair.causes import NONE_KNOWN
from samestep.migrate.pair.compare import Comparison, compare
from samestep.migrate.pair.limits import Verdict
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.record import load
from samestep.migrate.pair.recording import record_keras
from samestep.migrate.pair.shared import PairError
from samestep.migrate.tests.support.families import FAMILIES
from samestep.migrate.tests.support.faults import FAULTS
from samestep.parity.tests.support.require import LEFT_OUT

BELOW = ("mlp", "transformer")  # TensorFlow's GELU and LeakyReLU have constants in float32
BY_DAY = ("cnn", "lstm", "transformer", "hand attention")
OTHERWISE = {  # the answer is true here, too, but is at another place or in other words
    "a bias is missing", "BatchNorm behind ReLU", "'same' for padding=1", "dilation",
    "the average for the maximum", "the slope of LeakyReLU", "no mask", "the number of heads",
}  # fmt: skip


def judged(values: dict[str, Any]) -> Comparison:
    """The comparison of a user's file with Keras as the reference."""
    program = Program({name: value for name, value in values.items() if name != "convert"}, "a.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return compare(record_keras(program, 2), program)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_right_pair_is_the_same(name: str, full: bool) -> None:
    if name not in BY_DAY and not full:
        pytest.skip(LEFT_OUT)
    comparison = judged(FAMILIES[name].values(0))
    assert [each.place for each in comparison.judgement.different] == []
    assert comparison.judgement.verdict is (Verdict.BELOW if name in BELOW else Verdict.SAME)
    assert comparison.judgement.not_compared == []


def test_every_stage_has_findings() -> None:
    stages = {each.stage for each in judged(FAMILIES["cnn"].values()).judgement.findings}
    assert stages == {
        "forward", "loss", "gradient of the output", "backward", "parameter gradients", "clip",
        "weights after", "optimizer state", "buffers after",
    }  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_at_its_place(name: str, full: bool) -> None:
    """At the same stage and layer as with PyTorch as the reference, with a cause as true."""
    fault = FAULTS[name]
    if not full and name not in tuple(FAULTS)[::7]:
        pytest.skip(LEFT_OUT)
    if "convert" in fault.values() or name in OTHERWISE:
        pytest.skip("tested with PyTorch as the reference")
    comparison = judged(fault.values())
    first = comparison.judgement.first
    assert first is not None, "the fault was not caught"
    assert first.stage == fault.stage
    assert fault.place in first.place
    (cause,) = comparison.causes
    assert fault.cause in cause["text"]
    assert not any("could not be tried" in text for text in cause["tried"])
    if fault.cause:
        assert cause["text"] != NONE_KNOWN


def test_a_record_of_keras_is_read_as_it_was(tmp_path: Any) -> None:
    program = Program(FAMILIES["cnn"].values(), "a.py")
    record = record_keras(program, 1)
    again = load(record.save(tmp_path / "a.npz"))
    assert (again.side, again.dtype, again.facts) == ("keras", "float64", record.facts)
    assert [call.name for call in again.steps[0].calls] == [c.name for c in record.steps[0].calls]


def test_a_conversion_wants_pytorch_as_the_reference() -> None:
    values = {**FAMILIES["cnn"].values(), "convert": lambda torch_model, keras_model: None}
    program = Program(values, "a.py")
    with pytest.raises(PairError, match="leave --reference keras out"):
        compare(record_keras(program, 1), program)


def test_a_keras_model_that_leaves_float64_is_no_reference() -> None:
    layers = keras.layers

    def cast() -> Any:
        return keras.Sequential([layers.Input((4,)), layers.Dense(3, dtype="float32")])

    values = {**FAMILIES["mlp"].values(), "keras_model": cast, "batch": lambda: BATCH}
    with pytest.raises(PairError, match="must be built in float64 for the comparison"):
        record_keras(Program(values, "a.py"), 1)


BATCH = torch.zeros(5, 4).numpy(), torch.zeros(5, dtype=torch.int64).numpy()
