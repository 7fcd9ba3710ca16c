"""Why two contestants part: one ingredient is exchanged at a time, until a rule goes the other's way.

First each contestant is held to the rule that it means to follow. Where both keep to theirs, the rules differ, and
their fields are exchanged. Where one does not, suspicions are tried on its rule: gradients that come late, steps left
out, state that is lost, a known mistake. A suspicion that goes the contestant's way, within what rounding allows, is a
cause.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure import wrong_rules
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.natives import deviations
from samestep.parity.natives.reproductions import REPRODUCTIONS
from samestep.parity.runners import natives as witnesses
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult
from samestep.reference import Rule

from . import suspicions
from .allowed import Limits, excess, holds, of_rule
from .suspicions import Suspicion

MOST = 4  # fields exchanged together; more are no cause but another rule


@dataclasses.dataclass(frozen=True)
class Cause:
    """What was exchanged and what came of it, in a sentence. ``equal`` says whether that made the two equal.

    ``stage`` is the stage that it accuses, empty where it accuses none.
    """

    words: str
    equal: bool
    stage: str = ""


def find(
    one: tuple[Contestant, RunResult], other: tuple[Contestant, RunResult], trial: Trial, dtype: str, step: int
) -> list[Cause]:
    """Causes of a difference that begins at ``step``, the one that explains it last; without one, what was tried."""
    (_, a), (_, b) = one, other
    causes: list[Cause] = []
    strays = 0
    for letter, (contestant, went), meant in (("A", one, a.rule or b.rule), ("B", other, b.rule or a.rule)):
        if meant is None or keeps(went.trajectory, meant, trial, dtype):
            continue
        strays += 1
        causes.append(astray(letter, contestant, went, meant, trial, dtype, step))
    if a.rule is None and b.rule is None:
        return [Cause("neither A nor B says which rule it follows, so nothing of theirs can be exchanged", False)]
    if not strays or (a.rule and b.rule and a.rule != b.rule):
        causes += exchanges(a, b, trial, dtype)
    return causes


def keeps(trajectory: Trajectory, rule: Rule, trial: Trial, dtype: str, scalars_in: str = "float64") -> bool:
    """Whether an trajectory goes the rule's way, both as far off as rounding allows; scalars round in ``scalars_in``."""
    allowed = of_rule(rule, trial, dtype, scalars_in=scalars_in)
    return holds(trajectory, in_numpy.run(rule, trial, dtype), allowed)


def exchanges(a: RunResult, b: RunResult, trial: Trial, dtype: str) -> list[Cause]:
    """Fields of A's rule put into B's, each alone, then the fewest together that make B's rule go A's way."""
    assert a.rule
    assert b.rule
    if type(a.rule) is not type(b.rule):
        return [Cause(f"the rules are different: A follows {a.rule!r}, B {b.rule!r}", False)]
    goal = in_numpy.run(a.rule, trial, dtype)
    fields = [name for name in a.rule.names() if getattr(a.rule, name) != getattr(b.rule, name)]
    tried = [_put(a.rule, b.rule, (name,), goal, trial, dtype) for name in fields]
    found = [cause for cause in tried if cause]
    if any(cause.equal for cause in found):
        return sorted(found, key=lambda cause: cause.equal)
    for size in range(2, min(MOST, len(fields)) + 1):
        for names in itertools.combinations(fields, size):
            together = _put(a.rule, b.rule, names, goal, trial, dtype)
            if together and together.equal:
                return [*found, together]
    return [*found, Cause(f"no {MOST} fields of A's rule or fewer make B equal to A", False)]


def _put(a: Rule, b: Rule, names: tuple[str, ...], goal: Trajectory, trial: Trial, dtype: str) -> Cause | None:
    """What comes of putting the named fields of A's rule into B's; None if B's rule cannot have them."""
    try:
        rule = b.replace(**{name: getattr(a, name) for name in names})
    except ValueError:
        return None
    if repr(rule) == repr(b):
        return None  # it does not matter there
    went, allowed = in_numpy.run(rule, trial, dtype), of_rule(rule, trial, dtype).mean(of_rule(a, trial, dtype))
    equal = holds(went, goal, allowed)
    given = " and ".join(f"{name}={getattr(a, name)!r} instead of {getattr(b, name)!r}" for name in names)
    outcome = "makes B equal to A" if equal else f"leaves a distance of {distance(goal, went, allowed, trial):.2g}"
    return Cause(f"{given} {outcome}", equal)


def distance(one: Trajectory, other: Trajectory, allowed: Limits, trial: Trial) -> float:
    """The distance where two accounts are most limits apart, as a share of the path."""
    told = {
        name: verdicts.compare(trial.start[name], one.thetas[name], other.thetas[name], bound)
        for name, bound in allowed.thetas.items()
    }
    return max(told.values(), key=lambda verdict: verdict.distance / verdict.limit if verdict.limit else 0).distance


def astray(letter: str, who: Contestant, went: RunResult, rule: Rule, trial: Trial, dtype: str, step: int) -> Cause:
    """Why a contestant does not keep to the rule: a recorded deviation, or a suspicion that goes its way."""
    known = deviations.find(who.dialect, who.mode, dtype, rule) if who.kind == "native" else None
    if known and keeps(went.trajectory, known[1], trial, dtype, known[0].scalars_in):
        deviation = known[0]
        return Cause(f"{letter} deviates from {rule!r}, as is known: {deviation.cause} {deviation.link}".rstrip(), True)
    meant = in_numpy.run(rule, trial, dtype)
    allowed = of_rule(rule, trial, dtype)
    beyond = _beyond(went.trajectory, meant, allowed)
    at = next((i for i, number in enumerate(beyond) if number), step - 1)
    for suspicion in _all(rule, trial, at + 1):
        try:
            trajectory = suspicion.trajectory(dtype)
        except ValueError:  # so wrong that it cannot take a step
            continue
        if 2 * _beyond(went.trajectory, trajectory, allowed)[at] > beyond[at]:
            continue  # most of what parted there still does
        if holds(went.trajectory, trajectory, _of(suspicion, dtype)):
            return Cause(f"{letter} goes the way of {rule!r} if it {suspicion.words}", True, suspicion.stage)
    far = distance(meant, went.trajectory, allowed, trial)
    words = f"{letter} strays from {rule!r}, {far:.2g} of the path, and nothing that was tried explains it"
    title = f"{witnesses.of(who.home).TITLE}.{who.call.name}" if who.call else ""
    scripts = [found.name for found in REPRODUCTIONS if who.call and found.native == title]
    also = f"; known of this native: samestep reproduce {' '.join(scripts)}" if scripts else ""
    return Cause(f"{words}{also}", False)


def _beyond(one: Trajectory, other: Trajectory, allowed: Limits) -> np.ndarray:
    """How many elements are beyond what is allowed after each step."""
    return sum(
        (excess(one.thetas[name], other.thetas[name], bound) > 1).reshape(len(bound), -1).sum(axis=1)
        for name, bound in allowed.thetas.items()
    )


def _of(suspicion: Suspicion, dtype: str) -> Limits:
    return of_rule(suspicion.rule, suspicion.trial, dtype, suspicion.before)


def _all(rule: Rule, trial: Trial, step: int) -> Iterator[Suspicion]:
    """Suspicions from the likely to the far-fetched; known mistakes come last, since they take a moment to load."""
    yield from suspicions.carried(rule, trial, step)
    for name, kind in wrong_rules.wrong_rules(type(rule).__name__).items():
        yield Suspicion(f"makes this mistake: {name.partition(': ')[2]}", "", kind(**rule.to_dict()), trial)
