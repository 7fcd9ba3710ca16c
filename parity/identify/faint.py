"""Epsilons of rules that measure whole tensors, read off gradients that begin far below them.

Such an epsilon may be a floor: while gradients are larger it has no effect at all, and the probes
give every tensor some large ones.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from samestep.parity.measure.streams import normal
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.reference import Adafactor, Muon, Rule

from .decimals import replace_if_allowed, round_values
from .equivalents import round_other_average
from .family import RuleTemplate, choices_of
from .fit import FittedRule, fit, rank_starts
from .fit_data import fit_data
from .observe import Observation

FIELDS: dict[type[Rule], tuple[str, str]] = {  # by rule: the epsilon, and the field of its place
    Adafactor: ("epsilon1", "epsilon1_at"),
    Muon: ("epsilon", "epsilon_at"),
}
SMALLEST = {"float64": 1e-33, "float32": 1e-15}  # gradients, whose squares the dtype still has
LARGEST = 10.0
STEPS = 70
SHAPE = (4, 3)
SEED = 61
EPSILONS = np.logspace(-34, 1, 701)  # dense: Muon's error has many valleys
NEAR = 1e-4  # the error of a fit that may be right


def faint(rule: Rule, dtype: str) -> Trial | None:
    """A trial whose gradients grow from tiny to large; None if the rule has no such epsilon.

    ``faint`` (4, 3) starts so near to zero that no weight decay hides its gradients; ``usual``
    (4, 3) has gradients about 1, so that the optimizer moves something from the first step on.
    """
    if type(rule) not in FIELDS:
        return None
    sizes = np.geomspace(SMALLEST[dtype], LARGEST, STEPS)
    start = {"faint": SMALLEST[dtype] * normal(SHAPE, SEED), "usual": normal(SHAPE, SEED + 1)}
    gradients = {
        "faint": sizes[:, None, None] * normal((STEPS, *SHAPE), SEED + 2),
        "usual": normal((STEPS, *SHAPE), SEED + 3),
    }
    return of_arrays(start, gradients, np.ones(STEPS))


def with_other_epsilons(rule: Rule, observation: Observation) -> Iterator[Rule]:
    """The rule with the epsilons that fit its steps on the trial of ``faint``, the nearest first,
    each from coarse to fine decimals. Muon's is a decimal with one of its two kinds of momentum.
    """
    fitted = [each for each in _fits(rule, observation) if each and each.error <= NEAR]
    for nearest in sorted(fitted, key=lambda each: each.error):
        seen = nearest.rule.replace(lr=rule.lr)
        yield from round_values(seen, nearest.names)
        if isinstance(seen, Muon) and nearest.names:
            yield from round_other_average(seen)


def _fits(rule: Rule, observation: Observation) -> Iterator[FittedRule | None]:
    """By place of the epsilon: the fit of the epsilon alone, and none at all.

    The learning rate is in float32, as trials hold it.
    """
    name, place = FIELDS[type(rule)]
    rule = rule.replace(lr=float(np.float32(rule.lr)))
    data = fit_data(observation, ("faint",), STEPS, elementwise=False)
    fields: dict[str, Any] = {field: getattr(rule, field) for field in rule.names()}
    fields.pop(name)
    for choice in choices_of(type(rule), place):
        template = RuleTemplate(type(rule), {**fields, place: choice})
        ranked = rank_starts(template, ({name: float(value)} for value in EPSILONS), data)
        yield fit(template, ranked[0][1], data) if ranked else None
    without = replace_if_allowed(rule, {name: 0.0})
    yield FittedRule(without, data.error(without), ()) if without else None
