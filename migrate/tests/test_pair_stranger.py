"""Pairs and faults of somebody who has not read how samestep finds a cause.

No right pair is accused. Every fault is caught at its stage and layer, and nothing untrue is said
of its cause; that none is known, or what is seen in general, is lawful and counted by
``python -m samestep.migrate.tests.support.score``.
"""

import warnings
from typing import Any

import pytest

from samestep.parity.tests.support.frameworks import keras

# isort: split
from samestep.migrate.pair.compare import Comparison, compare
from samestep.migrate.pair.program import Program
from samestep.migrate.pair.recording import record_pytorch
from samestep.migrate.tests.support.stranger import FAULTS, RIGHT
from samestep.migrate.tests.support.stranger.judging import Answer, answer
from samestep.parity.tests.support.require import LEFT_OUT

RIGHT_BY_DAY = (
    "one layer three times",
    "a frozen part",
    "siamese",
    "inputs and outputs by name",
    "habits, dropout first",
)
FAULTS_BY_DAY = (
    "tagger: padding counts in the mean",
    "language: sees one word ahead",
    "habits: a capped ReLU",
    "actor: the advantage is not detached",
    "tagger: padding has no gradient in PyTorch",
    "squeezed: converted without the flatten layer",
)


def judged(values: dict[str, Any]) -> Comparison:
    """The comparison of a user's file."""
    keras.backend.clear_session()
    program = Program(values, "mine.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return compare(record_pytorch(program, 3), program)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_pair_of_a_stranger_is_not_accused(name: str, full: bool) -> None:
    if not full and name not in RIGHT_BY_DAY:
        pytest.skip(LEFT_OUT)
    comparison = judged(RIGHT[name].values())
    assert [each.place for each in comparison.judgement.different] == []
    assert comparison.causes == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_stranger_is_caught_and_nothing_untrue_is_said(name: str, full: bool) -> None:
    if not full and name not in FAULTS_BY_DAY:
        pytest.skip(LEFT_OUT)
    fault = FAULTS[name]
    comparison = judged(fault.pair.values())
    first = comparison.judgement.first
    assert first is not None
    assert first.stage in fault.stages
    assert any(place in first.place for place in fault.places), first.place
    assert answer(fault, comparison) is not Answer.UNTRUE, comparison.causes
