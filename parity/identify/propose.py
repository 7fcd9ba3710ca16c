"""Propose rules that an unknown optimizer may be, the likely ones first."""

import itertools
from collections.abc import Collection, Iterator, Sequence

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Epsilon, Rule

from .decimals import round_values
from .families import likely_variants
from .family import ELEMENTWISE
from .features import measure_features
from .fit import FittedRule, exact_rule
from .judge import Judgement
from .muon import MATRICES, propose_muon, propose_usual_muon
from .observe import Evidence, Observation
from .search import round_fitted, search
from .signs import propose_signs
from .trials import CONFIRMATION_SHAPES

NEAR = {"float64": 1e-5, "float32": 1e-3}  # errors so small that a fitted rule is judged at once
NEAR_MUON = 1e-3  # the same for Muon: products of matrices round in an order of their own
MOST_REST = 6  # other fitted rules that are judged
LIKELY_MUONS = 2  # rules, where only equal bits can decide
COARSE_ROUNDINGS = 3  # roundings of each of them


def propose(
    evidence: Evidence, judgements: Sequence[Judgement], kinds: Collection[type[Rule]]
) -> Iterator[FittedRule]:
    """Rules that are near as soon as they are found, then the others, the nearest first.

    ``judgements`` is the caller's growing list: those of the rules proposed so far. Only rules of
    these kinds are proposed, and Muon.
    """
    probes = evidence.observations[0]
    if not evidence.takes_vectors:
        yield from _nearest(propose_muon(probes, None))
        return
    rest = []
    for fitted in _with_vectors(evidence, kinds):
        if fitted.error > NEAR[probes.dtype]:
            rest.append(fitted)
            continue
        yield fitted
        if _may_be_part_of_muon(fitted.rule, judgements[-1]):
            yield from _propose_muon_with(fitted, probes)
    yield from _nearest(rest)


def _nearest(fitted: Sequence[FittedRule]) -> list[FittedRule]:
    return sorted(fitted, key=lambda rule: rule.error)[:MOST_REST]


def _with_vectors(evidence: Evidence, kinds: Collection[type[Rule]]) -> Iterator[FittedRule]:
    """Rules for an optimizer that takes any tensors."""
    probes = evidence.observations[0]
    features = measure_features(probes.trajectory, probes.trial)

    def run(trial: Trial) -> Trajectory:
        return evidence.box.trajectory(trial, probes.dtype)

    for rule in propose_signs(probes, features, run):
        if type(rule) in kinds:
            yield exact_rule(rule)
    variants = [variant for variant in likely_variants(features) if variant.kind in kinds]
    yield from search(probes, variants)


def _may_be_part_of_muon(rule: Rule, judgement: Judgement) -> bool:
    """True for an Adam as Keras' Muon has it that fails on a matrix."""
    if not isinstance(rule, Adam) or rule.epsilon_at is not Epsilon.HAT:
        return False
    return judgement.worst.verdict.tensor in (*MATRICES, *CONFIRMATION_SHAPES)


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
