"""Explain an optimizer that is none of the rules: a rule of the usual kind, and what is done
otherwise.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from samestep.parity.explain.explanation import explain_by
from samestep.parity.explain.fields import rules_of_calls
from samestep.parity.explain.observed import Observed
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule
from samestep.reference import Rule

from .observe import Evidence, Observation

MOST_RULES = 6  # that are tried with every fault: each takes seconds
MOST_OF_KIND = 2  # of them that are rules of one kind


def explanation_by_a_fault(evidence: Evidence, nearest: Rule | None) -> str:
    """What takes the optimizer's steps on the trial of confirmation: a rule and a fault; empty if
    none does.

    There some gradients are small. On the probes all are so long that a rule whose steps have no
    scale is clipped to one limit as to any other.
    """
    observation = _confirmation(evidence)
    rules = list(_usual_rules(evidence, nearest))
    explanation = explain_by(rules, _observed(observation), evidence.dialect)
    return explanation.text if explanation else ""


def _confirmation(evidence: Evidence) -> Observation:
    """The trial of confirmation in the widest dtype: the second of this dtype."""
    _, second, *_ = (
        observation
        for observation in evidence.observations
        if observation.dtype == evidence.dtypes[0]
    )
    return second


def _observed(observation: Observation) -> Observed:
    """The steps of the optimizer; what is expected of it is filled in for each rule."""
    trajectory = observation.trajectory
    zeros = {name: np.zeros(array.shape) for name, array in trajectory.thetas.items()}
    unjudged = Limits(zeros, {})
    return Observed(observation.trial, observation.dtype, trajectory, unjudged, trajectory)


def _usual_rules(evidence: Evidence, nearest: Rule | None) -> Iterator[Rule]:
    """The rules that the optimizer may have been meant to follow, the nearest first.

    Of them one is nearest on the first tensor: what passes from tensor to tensor, such as a step
    size that leaks, has not reached that one.
    """
    rate = evidence.rate or (nearest.lr if nearest else None)
    if rate is None:
        return
    observation = _confirmation(evidence)
    observed = observation.trajectory.thetas
    first = next(iter(observed))
    distances = {}
    at_first = {}
    for rule in _calls_and_textbooks(rate):
        if rule.weight_decay or not _is_plain(rule):
            continue  # a plainer rule of the kind is tried, and its fields are changed
        try:
            expected = run_rule(rule, observation.trial, observation.dtype)
        except ValueError:
            continue
        distances[rule] = _distance(expected.thetas, observed)
        at_first[rule] = _distance({first: expected.thetas[first]}, observed)
    chosen: list[Rule] = []
    for rule in sorted(distances, key=distances.__getitem__):
        of_kind = [each for each in chosen if type(each) is type(rule)]
        if len(of_kind) < MOST_OF_KIND and len(chosen) < MOST_RULES:
            chosen.append(rule)
    yield from dict.fromkeys([*chosen, *sorted(at_first, key=at_first.__getitem__)[:1]])


def _calls_and_textbooks(rate: float) -> list[Rule]:
    """The rules of all calls, and each with epsilon where the textbook has it, as a user writes it
    by hand with the default of a framework.
    """
    rules: list[Rule] = []
    for rule in rules_of_calls(rate):
        rules.append(rule)
        field = type(rule).__dataclass_fields__.get("epsilon_at")
        if field is not None:
            rules.append(rule.replace(epsilon_at=field.default))
    return list(dict.fromkeys(rules))


def _is_plain(rule: Rule) -> bool:
    """True if every switch, such as amsgrad or maximize, is where it is by default."""
    switches = [field for field in dataclasses.fields(rule) if isinstance(field.default, bool)]
    return all(getattr(rule, switch.name) == switch.default for switch in switches)


def _distance(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """The median distance of elements, over all tensors."""
    with np.errstate(all="ignore"):
        gaps = [np.abs(array - second[name]).ravel() for name, array in first.items()]
    return float(np.median(np.nan_to_num(np.concatenate(gaps), nan=np.inf)))
