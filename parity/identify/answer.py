"""The identification of a black box, from start to end."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from reference import RULES, Adagrad, Adam, Epsilon, Rule, ScheduleFree, dialects

from ..compare import contestants
from ..compare.contestants import Contestant
from ..compare.feed import Feed
from ..compare.worker import Ran, ran_on
from ..deviations import DEVIATIONS
from . import court, families, features, orthogonal, probes, search, simple, steps
from .court import Held, Reading, Ruling, Trial
from .fit import Found

DTYPES = ("float64", "float32")  # the wider first: fits are made in it
HOMES = {"tensorflow": "keras"}  # the dialect of a framework's users, where its name is another
NEAR = {"float64": 1e-5, "float32": 1e-3}  # gaps so small that a fitted rule is tried at once
ROUGH = 1e-3  # a gap so small that a fit to matrices is tried at once: their products round in orders of their own
TRIED = 6  # fitted rules that are tried, of those that nothing ends
COARSE, LIKELY = 3, 2  # roundings, and rules, that are tried where only bits can decide
CLOSE = 1e-4  # a share of the path: what is nearer may be a live optimizer with a deviation that is not recorded
OTHERS = 2.0  # what a number is multiplied by, to see whether it makes any difference

Run = Callable[[Contestant, Sequence[tuple[Feed, str]]], list[Ran]]


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a black box is. ``rule`` goes its way; None if none does, and then ``nearest`` is what comes nearest.

    ``held`` has the rule's, or the nearest one's, verdict on each trial. ``calls`` says the rule in each dialect, or
    why it cannot. ``alike`` are rules that cannot be told from it. ``native`` is the live optimizer with equal bits.
    """

    text: str
    home: str
    rule: Rule | None
    nearest: Rule | None
    held: tuple[Held, ...]
    deviations: dict[str, str]
    alike: tuple[Rule, ...]
    calls: dict[str, str]
    native: str
    dtypes: tuple[str, ...]
    flat: bool


def identify(
    contestant: Contestant, run: Run = ran_on, long: bool = True, kinds: Collection[type[Rule]] = RULES
) -> Identity:  # fmt: skip
    """Probe the contestant, propose, judge. ValueError if it cannot run.

    ``run`` is how a contestant runs: in a process of its own, unless a test knows better. ``long`` includes the trial
    of many steps; ``kinds`` are the rules that are thought of.
    """
    home, trials, flat = gathered(contestant, run, long)
    dialect = HOMES.get(home, home)
    rulings: list[Ruling] = []
    for found in _proposed(contestant, run, trials, flat, rulings, kinds):
        rulings.append(_ruling(found, trials, dialect))
        if rulings[-1].holds:
            return _named(contestant, home, rulings[-1], trials, flat, run)
    return _unnamed(contestant, home, rulings, trials, flat, run)


def _proposed(
    contestant: Contestant, run: Run, trials: Sequence[Trial], flat: bool, rulings: Sequence[Ruling],
    kinds: Collection[type[Rule]],
) -> Iterator[Found]:  # fmt: skip
    """Rules that the box may be; those that come near as they come, the rest by their gaps. ``rulings`` are those on
    the proposals so far."""
    first, waiting = trials[0], []
    account, feed = first.account, first.feed
    if flat:
        seen = features.of(account, feed)
        ask = lambda other: run(contestant, [(other, first.dtype)])[0].account  # noqa: E731
        yield from (Found(rule, 0.0, ()) for rule in steps.proposals(account, feed, seen, ask) if type(rule) in kinds)
        for found in search.proposals(account, feed, [v for v in families.of(seen) if v.kind in kinds]):
            if found.gap > NEAR[first.dtype]:
                waiting.append(found)
                continue
            yield found
            adam = found.rule
            if isinstance(adam, Adam) and adam.epsilon_at is Epsilon.HAT and _matrices_differ(rulings[-1]):
                tidy = next(search.tidied(found, account, feed, families.FLAT))
                fitted = orthogonal.proposals(account, feed, tidy)  # type: ignore[arg-type]
                yield from (found for found in fitted if found.gap < ROUGH)
    else:
        waiting.extend(orthogonal.proposals(account, feed, None))
    yield from sorted(waiting, key=lambda one: one.gap)[:TRIED]


def _matrices_differ(ruling: Ruling) -> bool:
    """Whether a rule failed on a matrix alone."""
    return ruling.worst.tensor in (*orthogonal.NAMES, *court.MATRICES)


def gathered(contestant: Contestant, run: Run, long: bool) -> tuple[str, list[Trial], bool]:
    """Where the box is at home, all trials, and whether it takes tensors that are no matrices.

    What it cannot do, such as double precision or vectors, is left out; ValueError if it can do nothing.
    """
    first: ValueError | None = None
    for flat, dtypes in ((True, DTYPES), (True, DTYPES[1:]), (False, DTYPES), (False, DTYPES[1:])):
        asked = [(probes.feed(flat), dtype) for dtype in dtypes]
        asked += [(court.fresh(flat), dtype) for dtype in dtypes]
        if long:
            asked.append((court.long(flat), dtypes[0]))
        try:
            went = run(contestant, asked)
        except ValueError as error:
            first = first or error
            continue
        trials = [Trial(feed, dtype, each.account) for (feed, dtype), each in zip(asked, went, strict=True)]
        return went[0].home, trials, flat
    assert first
    raise first


def _ruling(found: Found, trials: Sequence[Trial], dialect: str) -> Ruling:
    """The first of the ways to write a fitted rule that holds, or the one that comes nearest."""
    fitted = found.rule
    if not found.names:
        return court.judge(fitted, dialect, trials)
    bounds = court.bound(Reading(fitted), trials[0])
    ways = [*simple.rounded(fitted, found.names), *simple.otherwise(fitted, dialect)]
    if isinstance(fitted, ScheduleFree):
        ways = [*simple.otherwise(fitted, dialect), *ways]
    if isinstance(fitted, Adagrad):  # two numbers of few digits say the same as one of many
        ways = sorted(ways, key=simple.length)
    rulings = []
    for rule in [*ways, fitted]:
        if rule is fitted or court.near(rule, dialect, trials[0], bounds):
            rulings.append(court.judge(rule, dialect, trials)._replace(names=found.names))
            if rulings[-1].holds:
                return rulings[-1]
    return max(rulings, key=lambda one: (len(one.held), -one.worst.excess))


def _named(
    contestant: Contestant, home: str, ruling: Ruling, trials: Sequence[Trial], flat: bool, run: Run
) -> Identity:  # fmt: skip
    dialect = HOMES.get(home, home)
    holds = court.standard(ruling, trials).holds
    rule = simple.simplified(ruling.rule, holds, dialect)
    final = court.judge(rule, dialect, trials)
    if not final.holds:  # the bounds of the first rule let it through, its own do not
        rule, final = ruling.rule, ruling
    calls = spelled(rule)
    known = {dtype: reading.deviation.cause for dtype, reading in final.readings.items() if reading.deviation}
    return Identity(
        contestant.text, home, rule, None, tuple(final.held), known, tuple(alike(rule, holds)), calls,
        _native(contestant, dialect, calls, trials, run), _dtypes(trials), flat,
    )  # fmt: skip


def _unnamed(
    contestant: Contestant, home: str, rulings: Sequence[Ruling], trials: Sequence[Trial], flat: bool, run: Run
) -> Identity:  # fmt: skip
    """What comes nearest; or, where a live optimizer is known to stray from every rule, the one with the same bits."""
    best = max(rulings, key=lambda one: (len(one.held), -one.worst.verdict.distance), default=None)
    held = tuple(best.held) if best else ()
    known = Identity(
        contestant.text, home, None, best.rule if best else None, held, {}, (), {}, "", _dtypes(trials), flat
    )
    dialect = HOMES.get(home, home)
    candidates: Iterator[Rule] = iter(())
    if not flat:
        candidates = _coarse(trials[0])
    elif best and (len(best.held) > 1 or best.worst.verdict.distance <= CLOSE):
        candidates = itertools.islice(simple.rounded(best.rule, best.names), COARSE)
    for rule in candidates:
        calls = spelled(rule)
        native = _native(contestant, dialect, calls, trials, run)
        if native:
            causes = {d.dtype: d.cause for d in DEVIATIONS if d.dialect == dialect and type(rule).__name__ in d.sizes}
            ruling = court.judge(rule, dialect, trials)
            return dataclasses.replace(
                known, rule=rule, nearest=None, held=tuple(ruling.held), deviations=causes, calls=calls, native=native
            )
    return known


def _coarse(trial: Trial) -> Iterator[Rule]:
    """Rules of few digits that a box of matrices may be, where nothing but equal bits can decide."""
    for found in orthogonal.proposals(trial.account, trial.feed, None, usual=True)[:LIKELY]:
        yield from itertools.islice(simple.rounded(found.rule, found.names), COARSE)


def alike(rule: Rule, holds: Callable[[Rule], bool]) -> list[Rule]:
    """Rules with one field otherwise that hold as well, and other ways to say the same."""
    found = [other for other in simple.otherwise(rule, "") if repr(other) != repr(rule) and holds(other)]
    for field in dataclasses.fields(rule):
        for other in field.metadata.get("choices") or _numbers(rule, field.name):
            try:
                changed = rule.replace(**{field.name: other})
            except ValueError:
                continue
            if repr(changed) != repr(rule) and changed not in found and holds(changed):
                found.append(changed)
    return found


def _numbers(rule: Rule, name: str) -> list[float]:
    value = getattr(rule, name)
    if isinstance(value, int):
        return []
    return [*simple.defaults(rule, name, ""), 0.0, OTHERS * value or 1.0, value / OTHERS]


def spelled(rule: Rule) -> dict[str, str]:
    """How each framework's users say the rule, or why they cannot."""
    said = {}
    for name in ("pytorch", "keras"):
        try:
            said[name] = _defaulted(str(dialects.find(name).spell(rule)))
        except dialects.Inexpressible as reason:
            said[name] = f"cannot say it: {reason.why}"
    return said


def _defaulted(call: str) -> str:
    """Adafactor's eps as PyTorch's users leave it: the machine epsilon of the weights."""
    return call.replace(f"eps=({court.MACHINE['float32']!r}, ", "eps=(None, ").replace(", eps=(None, 0.001)", "")


def _native(contestant: Contestant, dialect: str, calls: dict[str, str], trials: Sequence[Trial], run: Run) -> str:
    """The live optimizer of the box's framework that takes the same bits, if it does."""
    call = calls.get(dialect, "cannot")
    if call.startswith("cannot") or "#" in call:
        return ""
    try:
        live = contestants.read(f"native:{dialect}:{call}")
        went = run(live, [(trial.feed, trial.dtype) for trial in trials])
    except ValueError:
        return ""
    return live.text if all(_equal(trial, each) for trial, each in zip(trials, went, strict=True)) else ""


def _equal(trial: Trial, went: Ran) -> bool:
    one, other = trial.account.thetas, went.account.thetas
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def _dtypes(trials: Sequence[Trial]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trial.dtype for trial in trials))


def plain(value: Any) -> Any:
    """An identity, or a part of it, as JSON can hold it."""
    return value if isinstance(value, str | int | float | bool | type(None)) else repr(value)
