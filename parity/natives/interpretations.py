"""Interpretations: how a framework carries out a rule, exactly or with a known deviation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from samestep.reference import Adafactor, Epsilon, Rule

from .deviations import DEVIATIONS, Deviation

MACHINE_EPSILON = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}


class Interpretation(NamedTuple):
    """A rule as it is carried out in one dtype.

    ``scalars_in`` is the dtype of its scalar arithmetic. ``deviation`` is the known deviation that
    ``rule`` imitates, None if there is none.
    """

    rule: Rule
    scalars_in: str = "float64"
    deviation: Deviation | None = None


def interpretations(rule: Rule, dialect: str, dtype: str) -> Iterator[Interpretation]:
    """How the framework of ``dialect`` may carry out the rule in ``dtype``, the exact way first."""
    rule = in_dtype(rule, dtype)
    yield Interpretation(rule)
    for deviation in DEVIATIONS:
        where = (deviation.dialect, deviation.dtype)
        if where != (dialect, dtype) or type(rule).__name__ not in deviation.sizes:
            continue
        imitation = imitate(rule, deviation)
        scalars_deviate = deviation.imitation and deviation.scalars_in != "float64"
        if imitation and (imitation != rule or scalars_deviate):
            yield Interpretation(imitation, deviation.scalars_in, deviation)


def imitate(rule: Rule, deviation: Deviation) -> Rule | None:
    """The rule with the deviation's mistake.

    None if a hyperparameter leaves its interval when the deviation rounds it to float32.
    """
    try:
        return deviation.imitation(rule) if deviation.imitation else rule
    except ValueError:
        return None


def in_dtype(rule: Rule, dtype: str) -> Rule:
    """The rule as it is meant in a dtype.

    The first epsilon of PyTorch's Adafactor is by default the machine epsilon of the weights.
    """
    if not isinstance(rule, Adafactor) or rule.epsilon1_at is not Epsilon.FLOOR:
        return rule
    if rule.epsilon1 not in MACHINE_EPSILON.values():
        return rule
    return rule.replace(epsilon1=MACHINE_EPSILON[dtype])
