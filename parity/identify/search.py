"""Rules that go about as the box went, the nearest first: each variant is tried coarsely, the promising are fitted."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reference import Rule

from ..compare.account import Account
from ..compare.feed import Feed
from . import fit, gap, simple
from .fit import Found
from .variants import LEAST, Variant

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


def proposals(account: Account, feed: Feed, variants: Sequence[Variant]) -> Iterator[Found]:
    """Fitted rules, as they come; the last is not the best. Each variant is fitted a little from its best start, the
    nearest of each kind of rule to the end; then those with more numbers from where one with fewer came near; at last
    the promising ones from other starts."""
    waiting, rough, fitted = [], [], []
    for order, variant in enumerate(variants):
        given = _data(account, feed, variant, COARSE)
        starts = fit.ranked(variant.kind, variant.fixed, variant.grid, variant.start, given) if given.went else []
        if starts and starts[0][0] > NEAR:
            waiting.append((starts[0][0], order, variant, starts))
        elif starts and (found := _fitted(account, feed, variant, starts[0][1])):
            yield found
    for _, order, variant, starts in _each(waiting, SLOW, lambda variant: not variant.flat):
        found = _begun(account, feed, variant, starts[0][1])
        if found and found.gap <= NEAR:
            yield (found := _ended(account, feed, variant, found))
            fitted.append((found.gap, order, variant, starts, found))
        elif found:
            rough.append((found.gap, order, variant, starts, found))
    for _, order, variant, starts, found in _each(rough, MOST):
        yield (found := _ended(account, feed, variant, found))
        fitted.append((found.gap, order, variant, starts, found))
    best = sorted(fitted, key=lambda row: row[:2])[:AGAIN]
    for *_, variant, _, found in best:
        wider = _wider(found, variant, waiting) if DONE < found.gap <= HOPELESS else ()
        yield from (more for other, start in wider if (more := _fitted(account, feed, other, start)))
    for _, _, variant, starts, _ in best:
        yield from (found for _, start in starts[1:STARTS] if (found := _fitted(account, feed, variant, start)))


def _each(rows: Sequence[Any], most: int, counts: Callable[[Variant], bool] = lambda variant: True) -> Iterator[Any]:
    """The nearest first, and of each kind of rule so many of those that count."""
    asked: Counter[type[Rule]] = Counter()
    for row in sorted(rows, key=lambda row: row[:2]):
        asked[row[2].kind] += counts(row[2])
        if asked[row[2].kind] <= most:
            yield row


def _wider(
    found: Found, variant: Variant, waiting: Sequence[tuple[float, int, Variant, Any]]
) -> Iterator[tuple[Variant, dict[str, Any]]]:  # fmt: skip
    """Variants that fit more numbers than ``found`` did, and its numbers as their start."""
    for _, _, other, starts in waiting:
        names = starts[0][1]
        if (other.kind, other.fixed) == (variant.kind, variant.fixed) and set(names) > set(found.names):
            yield other, {name: getattr(found.rule, name) for name in names}


def tidied(found: Found, account: Account, feed: Feed, names: Sequence[str]) -> Iterator[Rule]:
    """The fitted rule in shorter decimals that fit the probes of these names about as well; at last as it is."""
    given = gap.data(account, feed, names, STEPS, flat=True)
    for rule in simple.rounded(found.rule, found.names):
        if gap.size(gap.gaps(rule, given, given.scales())) <= 2 * found.gap:
            yield rule
    yield found.rule


def _data(account: Account, feed: Feed, variant: Variant, steps: int) -> gap.Data:
    names = [name for name in variant.names if name in feed.start]
    return gap.data(account, feed, names, steps, variant.flat and bool(names))


def _fitted(account: Account, feed: Feed, variant: Variant, start: dict[str, Any]) -> Found | None:
    found = _begun(account, feed, variant, start)
    return found and _ended(account, feed, variant, found)


def _begun(account: Account, feed: Feed, variant: Variant, start: dict[str, Any]) -> Found | None:
    """A few rounds on a few steps."""
    return fit.fitted(variant.kind, variant.fixed, start, _data(account, feed, variant, FEW_STEPS), FEW)


def _ended(account: Account, feed: Feed, variant: Variant, found: Found) -> Found:
    """On all steps at last, with more rounds for what comes near; what is hopeless is left as it is."""
    for steps in (STEPS, feed.steps) if found.gap <= HOPELESS else ():
        given = _data(account, feed, variant, steps)
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
