"""The identification of a black box, from start to end."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from reference import Rule, dialects

from ..compare import contestants
from ..compare.contestants import Contestant
from ..compare.feed import Feed
from ..compare.worker import Ran, ran_on
from . import court, families, features, probes, search, simple, steps
from .court import Held, Reading, Ruling, Trial
from .fit import Found

DTYPES = ("float64", "float32")  # the wider first: fits are made in it
HOMES = {"tensorflow": "keras"}  # the dialect of a framework's users, where its name is another
NEAR = 1e-5  # a gap so small that a fitted rule is tried at once
TRIED = 6  # fitted rules that are tried, of those that nothing ends
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


def identify(contestant: Contestant, run: Run = ran_on, long: bool = True) -> Identity:
    """Probe the contestant, propose, judge. ValueError if it cannot run.

    ``run`` is how a contestant runs: in a process of its own, unless a test knows better. ``long`` includes the trial
    of many steps.
    """
    home, trials, flat = gathered(contestant, run, long)
    dialect = HOMES.get(home, home)
    rulings: list[Ruling] = []
    waiting: list[Found] = []
    for rule in stepped(contestant, run, trials[0], flat):
        rulings.append(court.judge(rule, dialect, trials))
        if rulings[-1].holds:
            return _named(contestant, home, rulings[-1], trials, flat, run)
    for proposal in proposed(trials[0], flat):
        if proposal.gap > NEAR:
            waiting.append(proposal)
            continue
        rulings.append(_ruling(proposal.rule, trials, dialect))
        if rulings[-1].holds:
            return _named(contestant, home, rulings[-1], trials, flat, run)
    for proposal in sorted(waiting, key=lambda one: one.gap)[:TRIED]:
        rulings.append(_ruling(proposal.rule, trials, dialect))
        if rulings[-1].holds:
            return _named(contestant, home, rulings[-1], trials, flat, run)
    return _unnamed(contestant, home, rulings, trials, flat)


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


def proposed(trial: Trial, flat: bool) -> Iterator[Found]:
    """Fitted rules, as they come."""
    if flat:
        seen = features.of(trial.account, trial.feed)
        yield from search.proposals(trial.account, trial.feed, families.of(seen))


def stepped(contestant: Contestant, run: Run, trial: Trial, flat: bool) -> Iterator[Rule]:
    """Rules that step by a sign; they may ask more of the box."""
    if flat:
        seen = features.of(trial.account, trial.feed)
        yield from steps.proposals(
            trial.account, trial.feed, seen, lambda feed: run(contestant, [(feed, trial.dtype)])[0].account
        )


def _ruling(fitted: Rule, trials: Sequence[Trial], dialect: str) -> Ruling:
    """The first of the ways to write a fitted rule that holds, or the one that comes nearest."""
    bounds = court.bound(Reading(fitted), trials[0])
    rulings = [court.judge(fitted, dialect, trials)]
    for rule in [*simple.rounded(fitted), *simple.otherwise(fitted, dialect)]:
        if court.near(rule, dialect, trials[0], bounds):
            rulings.append(court.judge(rule, dialect, trials))
        if rulings[-1].holds:
            break
    return max(rulings, key=lambda one: (one.holds, len(one.held), -one.worst.excess))


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
    known = {
        dtype: reading.deviation.cause for dtype, reading in final.readings.items() if reading.deviation
    }
    return Identity(
        contestant.text, home, rule, None, tuple(final.held), known, tuple(alike(rule, holds)), calls,
        _native(contestant, dialect, calls, trials, run), _dtypes(trials), flat,
    )  # fmt: skip


def _unnamed(
    contestant: Contestant, home: str, rulings: Sequence[Ruling], trials: Sequence[Trial], flat: bool
) -> Identity:
    best = max(rulings, key=lambda one: (len(one.held), -one.worst.verdict.distance), default=None)
    held = tuple(best.held) if best else ()
    return Identity(
        contestant.text, home, None, best.rule if best else None, held, {}, (), {}, "", _dtypes(trials), flat
    )


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
    return [*simple.defaults(rule, name, ""), 0.0, OTHERS * value or 1.0]


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


def _native(
    contestant: Contestant, dialect: str, calls: dict[str, str], trials: Sequence[Trial], run: Run
) -> str:
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
