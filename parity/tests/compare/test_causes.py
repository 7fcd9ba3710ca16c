"""Every planted cause is named, and no other: by ``compare``, ``assert_same_steps`` and
``identify``.
"""

import functools
import re

import pytest

from samestep.parity import assert_same_steps
from samestep.parity.compare.answer import Answer, compare
from samestep.parity.identify.answer import Identity, identify
from samestep.parity.measure import trial as trials
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import specs
from samestep.parity.tests.support.boxes import here
from samestep.parity.tests.support.require import LEFT_OUT
from samestep.parity.tests.unknown_optimizers import planted_pytorch, planted_tensorflow
from samestep.reference import SGD, Adam

FOLDER = "samestep.parity.tests.unknown_optimizers"
CASES = {
    **{f"planted_pytorch:{name}": row for name, row in planted_pytorch.PLANTED.items()},
    **{f"planted_tensorflow:{name}": row for name, row in planted_tensorflow.PLANTED.items()},
}
DAILY = {"compare": 4, "assertion": 8}  # one of so many is tried without --full
IDENTIFIED = (  # by ``samestep identify``, which does not know what is expected
    "planted_pytorch:from_two", "planted_pytorch:square_uncorrected",
    "planted_pytorch:lost_state", "planted_pytorch:shared_count", "planted_pytorch:clipped",
    "planted_pytorch:leaking", "planted_tensorflow:from_two", "planted_tensorflow:shared_count",
    "planted_tensorflow:clipped", "planted_tensorflow:leaking",
)  # fmt: skip
# As above in PyTorch: what identify makes of the steps does not hang on the framework.
TWINS = ("planted_tensorflow:from_two", "planted_tensorflow:clipped", "planted_tensorflow:leaking")
# What has the same steps, in the words of identify, which does not know what is expected.
SAME_STEPS = {
    "planted_pytorch:decay_of_matrices": r"^Adam\(lr=0.01\) on vectors, but on matrices of "
    r"Adam\(lr=0.01, weight_decay=0.5, decay=Decay.DECOUPLED\)",
    "planted_tensorflow:decay_of_matrices": r"^Adam\(lr=0.0099\d+, epsilon=1e-07\) on vectors, but "
    r"on matrices of Adam\(lr=0.0099\d+, weight_decay=0.5, decay=Decay.DECOUPLED, epsilon=1e-07\)",
    "planted_pytorch:vectors_by_descent": r"^SGD\(lr=0.01\) on vectors, but on matrices of "
    r"Adam\(lr=0.01\)",
}
# They cannot take steps on tensors of several shapes, which identify feeds.
FAIL_ON_SEVERAL_SHAPES = ("planted_pytorch:shared_state", "planted_tensorflow:shared_state")


def _leave_out(name: str, command: str, full: bool) -> None:
    if not full and list(CASES).index(name) % DAILY[command]:
        pytest.skip(LEFT_OUT)


@functools.cache
def answer_of(name: str, side: str) -> Answer:
    """What ``compare`` says of a planted optimizer on this side and what it should follow."""
    pair = [specs.read(f"{FOLDER}.{name}"), specs.read(CASES[name][1])]
    first, second = pair if side == "A" else pair[::-1]
    return compare(first, second, trials.designed((first.rule, second.rule)), "float32", here)


@functools.cache
def message_of(name: str) -> str:
    """What ``assert_same_steps`` says of it in float64, where every formula can be told from every
    other.
    """
    make, expected, _ = CASES[name]
    with pytest.raises(AssertionError) as raised:
        assert_same_steps(make, specs.rule(expected), dtypes=["float64"])
    return str(raised.value)


@functools.cache
def identity_of(name: str) -> Identity:
    """What ``identify`` says of it."""
    return identify(specs.read(f"{FOLDER}.{name}"), here, long=False, kinds=(SGD, Adam))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", ["A", "B"])
def test_compare_names_the_side_and_the_cause(name: str, side: str, full: bool) -> None:
    """One cause, which explains the whole; and a remedy for the side that strays alone."""
    _leave_out(name, "compare", full)
    if side != "AB"[list(CASES).index(name) // DAILY["compare"] % 2] and not full:
        pytest.skip(LEFT_OUT)
    answer = answer_of(name, side)
    assert answer.agreement is Agreement.DIFFERENT
    assert [cause.explains for cause in answer.causes] == [True], answer.causes
    assert answer.causes[0].text.startswith(f"{side} takes the steps of")
    assert re.search(CASES[name][2], answer.causes[0].text), answer.causes
    assert answer.remedies
    assert answer.remedies[0].startswith(f"in place of {side}, ")
    other = "B" if side == "A" else "A"
    assert not [line for line in answer.remedies if f"in place of {other}" in line]


@pytest.mark.parametrize("name", CASES)
def test_the_assertion_names_the_cause(name: str, full: bool) -> None:
    """And the shapes that it fed."""
    _leave_out(name, "assertion", full)
    text = message_of(name)
    assert re.search(CASES[name][2], text.rstrip(".")), text
    assert "Gradients were fed of these shapes: vectors" in text


@pytest.mark.parametrize("name", IDENTIFIED)
def test_identify_names_the_fault(name: str, full: bool) -> None:
    """What is no rule at any numbers is a usual rule with the planted fault."""
    if not full and name in TWINS:
        pytest.skip(LEFT_OUT)
    identity = identity_of(name)
    assert identity.rule is None
    assert re.search(CASES[name][2], identity.explanation), identity


@pytest.mark.parametrize("name", CASES)
def test_no_planted_optimizer_has_a_wrong_cause(name: str, full: bool) -> None:
    """Of all that is named, nothing but the planted cause, and what has the same steps."""
    if not full and list(CASES).index(name) % (2 * DAILY["assertion"]):
        pytest.skip(LEFT_OUT)
    pattern = CASES[name][2]
    spoken = [cause.text for cause in answer_of(name, "B").causes if cause.explains]
    reason = message_of(name).splitlines()[-1].rstrip(".")
    if "it takes the steps of" in reason:
        spoken.append(reason)
    assert spoken
    assert [text for text in spoken if "; and " in text or not re.search(pattern, text)] == []
    if full and name not in FAIL_ON_SEVERAL_SHAPES and not identity_of(name).rule:
        explanation = identity_of(name).explanation
        same = SAME_STEPS.get(name, pattern)
        assert not explanation or re.search(f"{pattern}|{same}", explanation)
        assert "; and " not in explanation


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
    assert [bool(re.search(cause, each.text)) for each in answer.causes] == [True], answer.causes
