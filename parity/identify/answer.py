"""The identification of a black box, from start to end."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Sequence

from samestep.parity.natives.deviations import DEVIATIONS
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import ran_on
from samestep.reference import RULES, Adagrad, Rule, ScheduleFree

from . import decimals as simple
from . import judge as court
from . import native_calls as live
from . import observe as ask
from . import propose
from .equivalents import alike
from .fit import Found
from .interpretations import Reading
from .judge import Held, Ruling
from .observe import Run
from .trials import Observation

HOMES = {"tensorflow": "keras"}  # the dialect of a framework's users, where its name is another
CLOSE = 1e-4  # a share of the path: what is nearer may be a live optimizer with a deviation that is not recorded
TRIED = 8  # calls whose live optimizer is tried


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a black box is. ``rule`` goes its way; None if none does, and then ``nearest`` is what comes nearest.

    ``held`` has the rule's, or the nearest one's, verdict on each trial. ``calls`` says the rule in each dialect, or
    why it cannot. ``alike`` are rules that cannot be told from it. ``native`` is the live optimizer with equal bits;
    where it has them, the rule itself may be left beyond its limit, which ``held`` tells. ``stuck``: the box takes the
    same steps whatever its learning rate is set to.
    """

    text: str
    home: str
    dtypes: tuple[str, ...]
    flat: bool
    rule: Rule | None = None
    nearest: Rule | None = None
    held: tuple[Held, ...] = ()
    deviations: dict[str, str] = dataclasses.field(default_factory=dict)
    alike: tuple[Rule, ...] = ()
    calls: dict[str, str] = dataclasses.field(default_factory=dict)
    native: str = ""
    stuck: bool = False

    @property
    def beyond(self) -> list[Held]:
        """The trials in which the rule, or the nearest, does not go the box's way."""
        return [one for one in self.held if not one.verdict.holds]


@dataclasses.dataclass(frozen=True, eq=False)
class Box:
    """A contestant, how it runs, and what it did."""

    contestant: Contestant
    run: Run
    trials: Sequence[Observation]
    dialect: str
    flat: bool
    blank: Identity


def identify(
    contestant: Contestant, run: Run = ran_on, long: bool = True, kinds: Collection[type[Rule]] = RULES
) -> Identity:  # fmt: skip
    """Probe the contestant, propose, judge. ValueError if it cannot run.

    ``run`` is how a contestant runs: in a process of its own, unless a test knows better. ``long`` includes the trial
    of many steps; ``kinds`` are the rules that are thought of.
    """
    home, trials, flat = ask.gathered(contestant, run, long)
    blank = Identity(contestant.text, home, tuple(dict.fromkeys(trial.dtype for trial in trials)), flat)
    box = Box(contestant, run, trials, HOMES.get(home, home), flat, blank)
    again, rulings = (lambda trial: run(contestant, [(trial, trials[0].dtype)])[0].trajectory), []  # type: ignore[var-annotated]
    for found in propose.proposed(trials[0], flat, again, rulings, kinds):
        rulings.append(_ruling(found, box))
        if rulings[-1].holds:
            return _named(box, rulings[-1])
    return _unnamed(box, rulings)


def _ruling(found: Found, box: Box) -> Ruling:
    """The first of the ways to write a fitted rule that holds, or the one that comes nearest."""
    if not found.names:
        return court.judge(found.rule, box.dialect, box.trials)
    bounds = court.bound(Reading(found.rule), box.trials[0])
    rulings = []
    for rule in _ways(found, box.dialect):
        if rule is found.rule or court.near(rule, box.dialect, box.trials[0], bounds):
            rulings.append(court.judge(rule, box.dialect, box.trials)._replace(names=found.names))
            if rulings[-1].holds:
                return rulings[-1]
    return max(rulings, key=lambda one: (len(one.held), -one.worst.excess))


def _ways(found: Found, dialect: str) -> list[Rule]:
    """Ways to write a fitted rule, the plainest first."""
    short, other = simple.rounded(found.rule, found.names), simple.otherwise(found.rule, dialect)
    ways = [*other, *short] if isinstance(found.rule, ScheduleFree) else [*short, *other]
    if isinstance(found.rule, Adagrad):  # two numbers of few digits say the same as one of many
        ways = sorted(ways, key=simple.length)
    return [*ways, found.rule]


def _named(box: Box, ruling: Ruling) -> Identity:
    holds = court.standard(ruling, box.trials).holds
    rule = simple.simplified(ruling.rule, holds, box.dialect)
    final = court.judge(rule, box.dialect, box.trials)
    if not final.holds:  # the bounds of the first rule let it through, its own do not
        rule, final = ruling.rule, ruling
    calls = live.spelled(rule)
    return dataclasses.replace(
        box.blank, rule=rule, held=tuple(final.held), deviations=_causes(box, final), calls=calls,
        alike=tuple(alike(rule, holds)), native=live.native(box.dialect, calls, box.trials, box.run),
    )  # fmt: skip


def _unnamed(box: Box, rulings: Sequence[Ruling]) -> Identity:
    """What comes nearest; or, where a live optimizer strays from every rule, the one with the same bits."""
    best = max(rulings, key=lambda one: (len(one.held), -one.worst.verdict.distance), default=None)
    tried = {str(live.spelled(rule)): rule for rule in itertools.islice(_suspects(box, best), TRIED)}
    for rule in tried.values():
        calls = live.spelled(rule)
        native = live.native(box.dialect, calls, box.trials, box.run)
        if native:
            ruling = court.judge(rule, box.dialect, box.trials)
            return dataclasses.replace(
                box.blank,
                rule=rule,
                held=tuple(ruling.held),
                deviations=_causes(box, ruling),
                calls=calls,
                native=native,
            )
    return dataclasses.replace(
        box.blank, nearest=best.rule if best else None, held=tuple(best.held) if best else (),
        stuck=ask.keeps_its_rate(box.contestant, box.run, box.trials[0]),
    )  # fmt: skip


def _causes(box: Box, ruling: Ruling) -> dict[str, str]:
    """By dtype: the deviations with which a rule holds, and those that no rule can make to the digit."""
    untold = [d for d in DEVIATIONS if d.dialect == box.dialect and type(ruling.rule).__name__ in d.sizes]
    known = {d.dtype: d.cause for d in untold if d.imitation is None and d.dtype in box.blank.dtypes}
    beyond = {one.dtype for one in ruling.held if not one.verdict.holds}
    return known | {
        dtype: reading.deviation.cause for dtype, reading in ruling.readings.items()
        if reading.deviation and dtype not in beyond
    }  # fmt: skip


def _suspects(box: Box, best: Ruling | None) -> Iterator[Rule]:
    """Rules whose live optimizer may have the box's bits: where the best holds in a trial, or nearly, what it is like
    there."""
    if not box.flat:
        yield from propose.coarse(box.trials[0])
    elif best and (len(best.held) > 1 or best.worst.verdict.distance <= CLOSE):
        yield from itertools.islice(simple.rounded(best.rule, best.names), propose.COARSE)
        sound = [trial for trial, held in zip(box.trials, best.held, strict=False) if held.verdict.holds]
        if sound:
            yield from alike(best.rule, court.standard(best, sound).holds)
