"""The optimizer to be explained."""

import dataclasses

from samestep.parity.measure.trial import Trial
from samestep.parity.natives.interpretations import Interpretation, interpretations
from samestep.reference import Rule


@dataclasses.dataclass(frozen=True)
class Suspect:
    """The optimizer to be explained: the rule that it should follow, on which trial, in which
    dtype.

    ``step`` (from 1) is the first at which it differs. ``dialect`` is that of a native, else empty.
    ``home`` is the dialect of the framework that it runs in, empty for none: its known deviations
    may come on top of every fault. With ``assumed`` nobody expects the rule: it is one that the
    optimizer may have been meant to follow, so that a text compares no field with it.
    """

    rule: Rule
    trial: Trial
    dtype: str
    step: int
    dialect: str = ""
    home: str = ""
    assumed: bool = False

    def interpretations(self) -> list[Interpretation]:
        """How the framework may carry out a rule, the exact way first."""
        return list(interpretations(self.rule, self.home, self.dtype))


def except_that(rule: Rule, fault: str) -> str:
    """The text of a hypothesis: the rule, and what is done otherwise."""
    return f"{rule!r}, except that it {fault}"
