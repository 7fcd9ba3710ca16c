"""Propose rules that an unknown optimizer may be, the likely ones first."""

import itertools
from collections.abc import Collection, Iterator, Sequence

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Epsilon, Muon, Rule

from .decimals import round_values
from .families import likely_variants
from .family import ELEMENTWISE
from .features import Features, measure_features
from .fit import FittedRule, exact_rule
from .muon import look_at_matrices, propose_muon, propose_usual_muon
from .observe import Evidence, Observation
from .refine import refine_as_seen
from .search import round_fitted, search
from .signs import SignSteps, propose_signs

NEAR = {"float64": 1e-5, "float32": 1e-3}  # errors so small that a fitted rule is judged at once
MOST_REST = 6  # other fitted rules that are judged
LIKELY_MUONS = 2  # rules, where only equal bits can decide
COARSE_ROUNDINGS = 3  # roundings of each of them


def propose(evidence: Evidence, kinds: Collection[type[Rule]]) -> Iterator[FittedRule]:
    """Rules of these kinds that are near as soon as they are found, then the others, the nearest
    first.
    """
    probes = evidence.observations[0]

    def run(trial: Trial) -> Trajectory:
        return evidence.box.trajectory(trial, probes.dtype)

    if not evidence.takes_vectors:
        yield from _nearest(propose_muon(look_at_matrices(probes, None, run)))
        return
    features = measure_features(probes.trajectory, probes.trial)
    rest = []
    for fitted in _with_vectors(SignSteps(_in_widest_dtype(evidence), features, run), kinds):
        if fitted.error > NEAR[probes.dtype]:
            rest.append(fitted)
        elif _may_move_vectors_of_muon(fitted.rule, features):
            yield from propose_muon(look_at_matrices(probes, _plain(fitted, probes), run))
        else:
            yield fitted
    yield from _nearest(rest)


def _in_widest_dtype(evidence: Evidence) -> list[Observation]:
    dtype = evidence.dtypes[0]
    return [known for known in evidence.observations if known.dtype == dtype]


def _nearest(fitted: Sequence[FittedRule]) -> list[FittedRule]:
    return sorted(fitted, key=lambda rule: rule.error)[:MOST_REST]


def _with_vectors(steps: SignSteps, kinds: Collection[type[Rule]]) -> Iterator[FittedRule]:
    """Rules for an optimizer that takes any tensors."""
    for rule in propose_signs(steps):
        if type(rule) in kinds:
            yield exact_rule(rule)
    variants = [
        variant
        for variant in likely_variants(steps.features)
        if variant.kind in kinds or (Muon in kinds and steps.features.shape_matters)
    ]
    yield from search(steps.observations[0], variants)


def _may_move_vectors_of_muon(rule: Rule, features: Features) -> bool:
    """True for an Adam as Muon has it, if matrices are moved otherwise than vectors."""
    return isinstance(rule, Adam) and rule.epsilon_at is Epsilon.HAT and features.shape_matters


def _plain(fitted: FittedRule, probes: Observation) -> Adam:
    """The fitted Adam in short decimals, as far as vectors tell."""
    rounded = next(round_fitted(fitted, probes, ELEMENTWISE))
    refined = (known.rule for known in refine_as_seen(fitted) if known.error <= 2 * fitted.error)
    plain = next(refined, rounded)
    assert isinstance(plain, Adam)
    return plain


def coarse_muons(probes: Observation) -> Iterator[Rule]:
    """Muon with few digits, for optimizers of matrices where only equal bits can decide."""
    for fitted in propose_usual_muon(probes)[:LIKELY_MUONS]:
        rounded = round_values(fitted.rule, fitted.names)
        yield from itertools.islice(rounded, COARSE_ROUNDINGS)
