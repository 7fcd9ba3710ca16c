"""Every planted fault is caught, at its stage and layer, and with its cause where one is known."""

import warnings

import pytest

from samestep.parity.tests.support.frameworks import keras

# isort: split
from samestep.migrate.pair.causes import NONE_KNOWN
from samestep.migrate.pair.compare import compare
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.tests.support.faults import FAULTS, REPORTED
from samestep.migrate.tests.support.further_faults import FURTHER
from samestep.parity.tests.support.require import LEFT_OUT

BY_DAY = (*tuple(FAULTS)[::6], *tuple(FURTHER)[::6])
ALL = {**FAULTS, **FURTHER}


@pytest.mark.parametrize("name", ALL)
def test_a_fault_is_caught_at_its_place(name: str, full: bool) -> None:
    """With the cause where one is known; where none is, none of the exchanges is claimed."""
    if not full and name not in BY_DAY:
        pytest.skip(LEFT_OUT)
    fault = ALL[name]
    keras.backend.clear_session()
    program = Program(fault.values(), "mine.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        comparison = compare(record_pytorch(program, 2), program)
    first = comparison.judgement.first
    assert first is not None, "the fault was not caught"
    assert first.stage == fault.stage
    assert fault.place in first.place
    (cause,) = comparison.causes
    assert fault.cause in cause["text"]
    if fault.cause:
        assert cause["text"] != NONE_KNOWN


def test_reported_faults_are_planted() -> None:
    assert len(REPORTED) >= 10
    assert set(REPORTED) <= set(FAULTS)


def test_faults_are_planted_in_every_stage() -> None:
    assert len(FAULTS) >= 60
    assert len(FURTHER) >= 20
    assert not set(FAULTS) & set(FURTHER)
    assert len({fault.stage for fault in FAULTS.values()}) == 10
    assert len({fault.family for fault in FAULTS.values()}) >= 12
