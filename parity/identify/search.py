"""Rules that go about as the box went, the nearest first: each variant is tried coarsely, the promising are fitted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from samestep.reference import Rule

from . import decimals as simple
from . import fit
from . import fit_data as gap
from .family import LEAST, Variant
from .fit import Found
from .trials import Observation

COARSE = 7  # steps on which the points of a grid are tried
FEW_STEPS = 10  # steps of the first fit: the rate has changed by then
STEPS = 16  # steps that are fitted
NEAR = 1e-3  # a gap so small that a variant is fitted at once
DONE = 1e-14  # a gap so small that it is rounding
SLOW = 12  # variants of a kind of rule in which elements act on each other that are fitted a little
MOST = 6  # variants of a kind of rule that are fitted to the end, of those that are not near at once
MANY = 150  # rounds for what is near: valleys are long
ASLEEP, SIZES = 1e-20, [10.0**power for power in range(-12, 1)]  # of a number that fits have left, and may take up
HOPELESS, FEW = 3e-2, 8  # a gap still so large after so few rounds
AGAIN, STARTS = 8, 4  # variants, and points of a grid, that are fitted from: some valleys lead nowhere


class Tried(NamedTuple):
    """A variant, its place among all, the points of its grid, the nearest first, and what a fit made of that.

    ``gap`` is the last that was measured.
    """

    gap: float
    order: int
    variant: Variant
    starts: list[tuple[float, dict[str, Any]]]
    found: Found | None = None


def proposals(trial: Observation, variants: Sequence[Variant]) -> Iterator[Found]:
    """Fitted rules, as they come; the last is not the best. What a grid brings near is fitted at once, then the others
    from their best starts; then those with more numbers from where one with fewer came near; at last the promising ones
    from other starts."""
    waiting: list[Tried] = []
    for tried in _ranked(trial, variants):
        if tried.gap > NEAR:
            waiting.append(tried)
        elif found := _fitted(trial, tried.variant, tried.starts[0][1]):
            yield found
    fitted: list[Tried] = []
    for tried, found in _others(trial, waiting):
        yield found
        fitted.append(tried._replace(gap=found.gap, found=found))
    best = sorted(fitted, key=_place)[:AGAIN]
    for tried in best:
        yield from (more for other, start in _wider(trial, tried, waiting) if (more := _fitted(trial, other, start)))
    for tried in best:
        others = (start for _, start in tried.starts[1:STARTS])
        yield from (more for start in others if (more := _fitted(trial, tried.variant, start)))


def _ranked(trial: Observation, variants: Sequence[Variant]) -> Iterator[Tried]:
    """The variants for which there are data and a start."""
    for order, variant in enumerate(variants):
        given = _data(trial, variant, COARSE)
        starts = fit.ranked(variant.kind, variant.fixed, variant.grid, variant.start, given) if given.went else []
        if starts:
            yield Tried(starts[0][0], order, variant, starts)


def _others(trial: Observation, waiting: Sequence[Tried]) -> Iterator[tuple[Tried, Found]]:
    """Each is fitted a little, and at once to the end if that brings it near; then the nearest of each kind of rule."""
    slow = _nearest([tried for tried in waiting if not tried.variant.flat], SLOW)
    rough: list[Tried] = []
    for tried in sorted([*slow, *(tried for tried in waiting if tried.variant.flat)], key=_place):
        found = _begun(trial, tried.variant, tried.starts[0][1])
        if found and found.gap > NEAR:
            rough.append(tried._replace(gap=found.gap, found=found))
        elif found:
            yield tried, _ended(trial, tried.variant, found)
    for tried in _nearest(rough, MOST):
        assert tried.found
        yield tried, _ended(trial, tried.variant, tried.found)


def _place(tried: Tried) -> tuple[float, int]:
    return tried.gap, tried.order


def _nearest(rows: Sequence[Tried], most: int) -> Iterator[Tried]:
    """The nearest first, and so many of each kind of rule."""
    asked: Counter[type[Rule]] = Counter()
    for tried in sorted(rows, key=_place):
        asked[tried.variant.kind] += 1
        if asked[tried.variant.kind] <= most:
            yield tried


def _wider(trial: Observation, tried: Tried, waiting: Sequence[Tried]) -> Iterator[tuple[Variant, dict[str, Any]]]:
    """Variants that fit more numbers than one that came near, and its numbers as their start."""
    found, variant = tried.found, tried.variant
    if not found or not DONE < found.gap <= HOPELESS:
        return
    for other in waiting:
        names = other.starts[0][1]
        same = (other.variant.kind, other.variant.fixed) == (variant.kind, variant.fixed)
        if same and set(names) > set(found.names):
            yield other.variant, _woken(found._replace(names=tuple(names)), _data(trial, other.variant, STEPS))


def tidied(found: Found, trial: Observation, names: Sequence[str]) -> Iterator[Rule]:
    """The fitted rule in shorter decimals that fit the probes of these names about as well; at last as it is."""
    given = gap.data(trial.trajectory, trial.trial, names, STEPS, flat=True)
    for rule in simple.rounded(found.rule, found.names):
        if gap.size(gap.gaps(rule, given, given.scales())) <= 2 * found.gap:
            yield rule
    yield found.rule


def _data(trial: Observation, variant: Variant, steps: int) -> gap.Data:
    names = [name for name in variant.names if name in trial.trial.start]
    return gap.data(trial.trajectory, trial.trial, names, steps, variant.flat and bool(names))


def _fitted(trial: Observation, variant: Variant, start: dict[str, Any]) -> Found | None:
    found = _begun(trial, variant, start)
    return found and _ended(trial, variant, found)


def _begun(trial: Observation, variant: Variant, start: dict[str, Any]) -> Found | None:
    """A few rounds on a few steps."""
    return fit.fitted(variant.kind, variant.fixed, start, _data(trial, variant, FEW_STEPS), FEW)


def _ended(trial: Observation, variant: Variant, found: Found) -> Found:
    """On all steps at last, with more rounds for what comes near; what is hopeless is left as it is."""
    for steps in (STEPS, trial.trial.steps) if found.gap <= HOPELESS else ():
        given = _data(trial, variant, steps)
        rounds = fit.ROUNDS if found.gap > NEAR else MANY
        found = fit.fitted(variant.kind, variant.fixed, _woken(found, given), given, rounds) or found
        if found.gap < DONE:
            return _spared(found, given)
    return found


def _spared(found: Found, given: gap.Data) -> Found:
    """Without numbers that might as well be next to nothing: a fit that is done leaves them anywhere below what the
    mean sees, and a few elements see more."""
    for name in (name for name in found.names if name in fit.GROWING):
        rule = found.rule.replace(**{name: LEAST})
        size = gap.size(gap.gaps(rule, given, given.scales()))
        if size <= found.gap:
            found = found._replace(rule=rule, gap=size)
    return found


def _woken(found: Found, given: gap.Data) -> dict[str, float]:
    """Its numbers; one that came to next to nothing, from where no fit can move it, at the size with the least gap."""
    numbers = {name: getattr(found.rule, name) for name in found.names}
    scales = given.scales()
    for name in [name for name in numbers if name in fit.GROWING and numbers[name] < ASLEEP]:
        sizes = [numbers[name], *SIZES]
        gaps = [gap.size(gap.gaps(found.rule.replace(**{name: value}), given, scales)) for value in sizes]
        numbers[name] = sizes[gaps.index(min(gaps))]
    return numbers
