"""Propose rules that an unknown optimizer may be, the likely ones first."""

import itertools
from collections.abc import Collection, Iterator, Sequence

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Epsilon, Rule

from .decimals import round_values
from .families import likely_variants
from .family import ELEMENTWISE
from .features import Features, measure_features
from .fit import FittedRule, exact_rule
from .muon import propose_muon, propose_usual_muon
from .observe import Evidence, Observation
from .search import round_fitted, search
from .signs import SignSteps, propose_signs

NEAR = {"float64": 1e-5, "float32": 1e-3}  # errors so small that a fitted rule is judged at once
NEAR_MUON = 1e-3  # the same for Muon: products of matrices round in an order of their own
MOST_REST = 6  # other fitted rules that are judged
LIKELY_MUONS = 2  # rules, where only equal bits can decide
COARSE_ROUNDINGS = 3  # roundings of each of them


def propose(evidence: Evidence, kinds: Collection[type[Rule]]) -> Iterator[FittedRule]:
    """Rules of these kinds that are near as soon as they are found, then the others, the nearest
    first.
    """
    probes = evidence.observations[0]
    if not evidence.takes_vectors:
        yield from _nearest(propose_muon(probes, None))
        return
    features = measure_features(probes.trajectory, probes.trial)
    rest = []
    for fitted in _with_vectors(evidence, features, kinds):
        if fitted.error > NEAR[probes.dtype]:
            rest.append(fitted)
        elif _may_move_vectors_of_muon(fitted.rule, features):
            yield from _propose_muon_with(fitted, probes)
        else:
            yield fitted
    yield from _nearest(rest)


def _nearest(fitted: Sequence[FittedRule]) -> list[FittedRule]:
    return sorted(fitted, key=lambda rule: rule.error)[:MOST_REST]


def _with_vectors(
    evidence: Evidence, features: Features, kinds: Collection[type[Rule]]
) -> Iterator[FittedRule]:
    """Rules for an optimizer that takes any tensors."""
    probes = evidence.observations[0]

    def run(trial: Trial) -> Trajectory:
        return evidence.box.trajectory(trial, probes.dtype)

    widest = [known for known in evidence.observations if known.dtype == probes.dtype]
    for rule in propose_signs(SignSteps(widest, features, run)):
        if type(rule) in kinds:
            yield exact_rule(rule)
    variants = [variant for variant in likely_variants(features) if variant.kind in kinds]
    yield from search(probes, variants)


def _may_move_vectors_of_muon(rule: Rule, features: Features) -> bool:
    """True for an Adam as Muon has it, if matrices are moved otherwise than vectors."""
    return isinstance(rule, Adam) and rule.epsilon_at is Epsilon.HAT and features.shape_matters


def _propose_muon_with(adam: FittedRule, probes: Observation) -> Iterator[FittedRule]:
    """Muon that moves all tensors but matrices by this Adam."""
    rounded = next(round_fitted(adam, probes, ELEMENTWISE))
    if isinstance(rounded, Adam):
        fitted = propose_muon(probes, rounded)
        yield from (muon for muon in fitted if muon.error < NEAR_MUON)


def coarse_muons(probes: Observation) -> Iterator[Rule]:
    """Muon with few digits, for optimizers of matrices where only equal bits can decide."""
    for fitted in propose_usual_muon(probes)[:LIKELY_MUONS]:
        rounded = round_values(fitted.rule, fitted.names)
        yield from itertools.islice(rounded, COARSE_ROUNDINGS)
