"""Rules that a black box may be, the likely ones first: those that only bits can confirm come last."""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Epsilon, Rule

from . import decimals as simple
from . import families, features, search
from . import family as variants
from . import muon as orthogonal
from . import signs as steps
from .fit import Found
from .judge import Ruling
from .trials import MATRICES, Observation

NEAR = {"float64": 1e-5, "float32": 1e-3}  # gaps so small that a fitted rule is tried at once
ROUGH = 1e-3  # a gap so small that a fit to matrices is tried at once: their products round in orders of their own
TRIED = 6  # fitted rules that are tried, of those that nothing ends
COARSE, LIKELY = 3, 2  # roundings, and rules, that are tried where only bits can decide


def proposed(
    first: Observation,
    flat: bool,
    ask: Callable[[Trial], Trajectory],
    rulings: Sequence[Ruling],
    kinds: Collection[type[Rule]],
) -> Iterator[Found]:
    """Rules that come near as they come, the rest by their gaps, from the first trial and what the box does on the
    trials that it is asked. ``rulings`` are those on the proposals so far."""
    waiting = [] if flat else orthogonal.proposals(first.trajectory, first.trial, None)
    for found in _flat(first, ask, kinds) if flat else ():
        if found.gap > NEAR[first.dtype]:
            waiting.append(found)
            continue
        yield found
        adam = found.rule
        if isinstance(adam, Adam) and adam.epsilon_at is Epsilon.HAT and _matrices_differ(rulings[-1]):
            yield from _muons(first, found)
    yield from sorted(waiting, key=lambda one: one.gap)[:TRIED]


def _flat(first: Observation, ask: Callable[[Trial], Trajectory], kinds: Collection[type[Rule]]) -> Iterator[Found]:
    trajectory, trial = first.trajectory, first.trial
    seen = features.of(trajectory, trial)
    yield from (Found(rule, 0.0, ()) for rule in steps.proposals(trajectory, trial, seen, ask) if type(rule) in kinds)
    yield from search.proposals(first, [v for v in families.of(seen) if v.kind in kinds])


def _muons(first: Observation, found: Found) -> Iterator[Found]:
    """Muon, where an Adam that fits is right about all but matrices."""
    tidy = next(search.tidied(found, first, variants.FLAT))
    fitted = orthogonal.proposals(first.trajectory, first.trial, tidy)  # type: ignore[arg-type]
    return (found for found in fitted if found.gap < ROUGH)


def _matrices_differ(ruling: Ruling) -> bool:
    """Whether a rule failed on a matrix alone."""
    return ruling.worst.tensor in (*orthogonal.NAMES, *MATRICES)


def coarse(trial: Observation) -> Iterator[Rule]:
    """Rules of few digits that a box of matrices may be, where nothing but equal bits can decide."""
    for found in orthogonal.proposals(trial.trajectory, trial.trial, None, usual=True)[:LIKELY]:
        yield from itertools.islice(simple.rounded(found.rule, found.names), COARSE)
