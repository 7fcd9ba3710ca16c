"""Is what samestep says of a fault's cause true?"""

from enum import StrEnum

from samestep.migrate.pair.causes import NONE_KNOWN
from samestep.migrate.pair.compare import Comparison

from .pair import Fault

GENERAL = (  # true of the place, and no cause
    "the order of layers, or something between them, differs",
    "the shapes differ:",
    "the models do not have the same layers",
)


class Answer(StrEnum):
    """What the causes of a comparison say of a fault."""

    TRUE = "cause true"
    GENERAL = "said in general"
    UNKNOWN = "cause unknown"
    UNTRUE = "cause untrue"


def answer(fault: Fault, comparison: Comparison) -> Answer:
    """The worst of the answers, over all causes that are printed."""
    answers = [_of_text(fault, cause["text"]) for cause in comparison.causes]
    for worst in (Answer.UNTRUE, Answer.GENERAL, Answer.TRUE):
        if worst in answers:
            return worst
    return Answer.UNKNOWN


def _of_text(fault: Fault, text: str) -> Answer:
    if text == NONE_KNOWN:
        return Answer.UNKNOWN
    if any(part in text for part in GENERAL):
        return Answer.GENERAL
    return Answer.TRUE if any(truth in text.lower() for truth in fault.truths) else Answer.UNTRUE
