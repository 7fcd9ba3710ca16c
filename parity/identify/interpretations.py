"""How a rule is taken: as it is, in a dtype, or with a known deviation of the box's framework."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from samestep.parity.natives.deviations import DEVIATIONS, Deviation
from samestep.reference import Adafactor, Epsilon, Rule

MACHINE = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}


class Reading(NamedTuple):
    """How a rule is taken in one dtype: as it is, or with a known deviation of the box's framework."""

    rule: Rule
    scalars_in: str = "float64"
    deviation: Deviation | None = None


def readings(rule: Rule, dialect: str, dtype: str) -> Iterator[Reading]:
    """The ways in which a framework is known to take the rule; the plain one first."""
    yield Reading(rule)
    for deviation in DEVIATIONS:
        meant = (deviation.dialect, deviation.dtype) == (dialect, dtype) and type(rule).__name__ in deviation.sizes
        imitation = imitated(rule, deviation) if meant else rule
        if imitation and (imitation != rule or (meant and deviation.imitation and deviation.scalars_in != "float64")):
            yield Reading(imitation, deviation.scalars_in, deviation)


def imitated(rule: Rule, deviation: Deviation) -> Rule | None:
    """As the framework takes it; None where a number that float32 does not hold leaves its interval."""
    try:
        return deviation.imitation(rule) if deviation.imitation else rule
    except ValueError:
        return None


def as_in(rule: Rule, dtype: str) -> Rule:
    """The rule in a dtype. PyTorch's Adafactor has the machine epsilon of the weights for its first, unless told."""
    if isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.FLOOR and rule.epsilon1 in MACHINE.values():
        return rule.replace(epsilon1=MACHINE[dtype])
    return rule
