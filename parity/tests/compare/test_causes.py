"""Every planted cause is named, and no other: by ``compare``, ``assert_same_steps`` and
``identify``.
"""

import re
from typing import Any

import pytest

from samestep.parity import assert_same_steps
from samestep.parity.compare.answer import compare
from samestep.parity.measure import trial as trials
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import specs
from samestep.parity.tests.support.boxes import here
from samestep.parity.tests.support.require import LEFT_OUT
from samestep.parity.tests.unknown_optimizers import planted_pytorch, planted_tensorflow

FOLDER = "samestep.parity.tests.unknown_optimizers"
CASES = [
    *((f"planted_pytorch:{name}", *row) for name, row in planted_pytorch.PLANTED.items()),
    *((f"planted_tensorflow:{name}", *row) for name, row in planted_tensorflow.PLANTED.items()),
]
DAILY = 4  # one of so many is tried by assert_same_steps without --full


@pytest.mark.parametrize(("name", "make", "expected", "cause"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize("side", ["A", "B"])
def test_compare_names_the_side_and_the_cause(
    name: str, make: Any, expected: str, cause: str, side: str, full: bool
) -> None:
    """One cause, which explains the whole; and a remedy for the side that strays alone."""
    if side == "A" and not full:
        pytest.skip(LEFT_OUT)
    pair = [specs.read(f"{FOLDER}.{name}"), specs.read(expected)]
    first, second = pair if side == "A" else pair[::-1]
    answer = compare(first, second, trials.designed((first.rule, second.rule)), "float32", here)
    assert answer.agreement is Agreement.DIFFERENT
    assert [found.explains for found in answer.causes] == [True], answer.causes
    assert answer.causes[0].text.startswith(f"{side} takes the steps of")
    assert re.search(cause, answer.causes[0].text), answer.causes
    assert answer.remedies
    assert answer.remedies[0].startswith(f"in place of {side}, ")
    other = "B" if side == "A" else "A"
    assert not [line for line in answer.remedies if f"in place of {other}" in line]


@pytest.mark.parametrize(("name", "make", "expected", "cause"), CASES, ids=[c[0] for c in CASES])
def test_the_assertion_names_the_cause(
    name: str, make: Any, expected: str, cause: str, full: bool
) -> None:
    """In float64, where every formula can be told from every other."""
    if not full and [case[0] for case in CASES].index(name) % DAILY:
        pytest.skip(LEFT_OUT)
    with pytest.raises(AssertionError) as raised:
        assert_same_steps(make, specs.rule(expected), dtypes=["float64"])
    text = str(raised.value).rstrip(".")
    assert re.search(cause, text), text
    assert "Gradients were fed of these shapes: vectors" in text


NATIVES = [
    ("native:keras:SGD(learning_rate=0.1, clipnorm=1.0)", "native:keras:SGD(learning_rate=0.1)",
     "^A takes the steps of .*clips the norm of each gradient to 1"),
    ("keras:SGD(learning_rate=0.1)", "pytorch:SGD(lr=0.2)", "^lr=0.1 instead of 0.2 makes B equal"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "cause"), NATIVES)
def test_a_rate_that_differs_by_its_rounding_is_no_cause(
    first: str, second: str, cause: str
) -> None:
    """The clipping is; and a rate that does differ is named."""
    a, b = specs.read(first), specs.read(second)
    answer = compare(a, b, trials.designed((a.rule, b.rule)), "float32", here)
    assert [bool(re.search(cause, found.text)) for found in answer.causes] == [True], answer.causes
