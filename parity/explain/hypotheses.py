"""The one list of what an optimizer may do instead of the expected steps.

``samestep compare``, ``assert_same_steps`` and ``samestep identify`` all try it. ``gradients``,
``faults``, ``fields`` and ``shapes`` hold its parts.
"""

import dataclasses
from collections.abc import Iterator

from samestep.parity.natives.deviations import DEVIATIONS
from samestep.parity.natives.interpretations import imitate
from samestep.reference import SGD

from . import faults, fields, gradients, shapes
from .hypothesis import Hypothesis, Proposals, Unknown
from .suspect import Suspect

__all__ = ["Hypothesis", "Suspect", "every"]

# of a trial; on larger ones the calls of other rules are not tried, they would take minutes
MOST_ELEMENTS = 100_000


def every(suspect: Suspect) -> Proposals:
    """All hypotheses, the likely ones first; those with a number to be estimated come late."""
    yield from known_deviations(suspect)
    unknowns: list[Unknown] = []
    for part in (gradients.proposals, faults.proposals, fields.proposals, shapes.proposals):
        for proposal in part(suspect):
            if isinstance(proposal, Unknown):
                unknowns.append(proposal)
            else:
                yield proposal
    yield from reversed(unknowns)  # a field before a factor, where both are as plain
    if sum(start.size for start in suspect.trial.start.values()) <= MOST_ELEMENTS:
        yield from fields.known_calls(suspect.rule.lr, suspect.trial)


def known_deviations(suspect: Suspect) -> Iterator[Hypothesis]:
    """The deviations that natives are known for in this dtype: those of the suspect's dialect and
    framework, of all if it has no dialect.
    """
    rule = suspect.rule
    for deviation in DEVIATIONS:
        of_dialect = deviation.dialect in (suspect.dialect, suspect.home) or not suspect.dialect
        if (
            not of_dialect
            or deviation.dtype != suspect.dtype
            or type(rule).__name__ not in deviation.sizes
        ):
            continue
        imitation = imitate(rule, deviation)
        if imitation and imitation != rule:
            text = (
                f"{rule!r} with a known deviation of {deviation.dialect}: {deviation.cause} "
                f"{deviation.link}"
            )
            plain = Hypothesis(text.rstrip(), "", imitation, suspect.trial)
            scalars_in = deviation.scalars_in
            yield dataclasses.replace(plain, deviation=deviation, scalars_in=scalars_in)


def pairs(suspect: Suspect) -> Iterator[Hypothesis]:
    """A fault and another choice of a field, together; no number is estimated for these."""
    for changed in fields.choices(suspect):
        both = dataclasses.replace(suspect, rule=changed.rule)
        for part in (gradients.proposals, faults.proposals):
            for fault in part(both):
                if isinstance(fault, Hypothesis):
                    difference = changed.text.partition(", which has ")[2]
                    also = f"; and it has {difference}" if difference else ""
                    yield dataclasses.replace(fault, text=fault.text + also)


def by_shape(suspect: Suspect) -> Proposals:
    """What an optimizer may do that is wrong for some shapes alone."""
    yield from faults.exemptions(suspect)
    yield from shapes.proposals(suspect)


def of_one_shape(suspect: Suspect) -> Proposals:
    """What an optimizer may do with tensors of one shape alone: nothing, plain descent, or any
    hypothesis of the list.
    """
    rule = suspect.rule
    nothing = {name: present & False for name, present in suspect.trial.present.items()}
    still = suspect.trial.replace(present=nothing)
    yield Hypothesis("no rule, since it does not move them", "update", rule, still)
    plain = SGD(lr=rule.lr, maximize=rule.maximize)
    yield Hypothesis(repr(plain), "update", plain, suspect.trial)
    yield from fields.known_calls(rule.lr, suspect.trial)
    yield from every(suspect)
