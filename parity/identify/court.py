"""The only judge: does a rule go where the box went, within what rounding allows, on gradients that proposed nothing?

The trials are those of ``samestep compare``, matrices beside them, in each dtype that the box can have; the probes; and
a long run, in which bias corrections end and rates go up and down. A known deviation of the box's framework is tried
where the plain rule does not hold.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from reference import Adafactor, Epsilon, Rule

from .. import streams, trajectory
from ..compare import feed as feeds
from ..compare import in_numpy
from ..compare.account import Account
from ..compare.allowed import of_rule
from ..compare.feed import Feed
from ..deviations import DEVIATIONS, Deviation

WORTH = 1e3  # limits: a proposal farther off in the first trial is not judged
MACHINE = {dtype: float(np.finfo(dtype).eps) for dtype in ("float32", "float64")}
LONG = 1200  # steps: more than a thousand, after which 0.999^t is no longer near 1
SEED = 43
MATRICES: dict[str, tuple[int, ...]] = {"square": (5, 5), "tall": (8, 3)}


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What the box was given, in which dtype, and where it went. Each is itself alone, so that bounds can be kept."""

    feed: Feed
    dtype: str
    account: Account


class Reading(NamedTuple):
    """How a rule is taken in one dtype: as it is, or with a known deviation of the box's framework."""

    rule: Rule
    scalars_in: str = "float64"
    deviation: Deviation | None = None


class Held(NamedTuple):
    """A rule held to a trial: the verdict of the tensor closest to its limit, and whether all bits are equal."""

    verdict: trajectory.Verdict
    tensor: str
    dtype: str
    bits: bool
    steps: int

    @property
    def excess(self) -> float:
        """How many limits away."""
        return self.verdict.distance / self.verdict.limit if self.verdict.limit else np.inf * self.verdict.distance


def fresh(flat: bool) -> Feed:
    """The designed streams, and matrices of common sizes; without ``flat`` the matrices alone."""
    given = feeds.designed(())
    if not flat:
        given = given._replace(start={}, gradients={}, present={})
    for i, (name, shape) in enumerate(MATRICES.items()):
        given.start[name] = streams.normal(shape, SEED + i)
        given.gradients[name] = streams.normal((given.steps, *shape), SEED + 10 + i)
        given.present[name] = np.ones(given.steps, bool)
    return given


def long(flat: bool) -> Feed:
    """A small tensor for many steps: gradients of a size that swells and fades, a rate that goes up and down."""
    time = np.arange(LONG)
    shape = (12,) if flat else (4, 3)
    swell = 10 ** np.sin(2 * np.pi * time / 400)
    gradients = streams.normal((LONG, *shape), SEED + 20) * swell.reshape(-1, *[1] * len(shape))
    gradients[500:600].reshape(100, -1)[:, ::2] = 0
    shares = np.array([1.0, 0.5, 2.0, 0.25, 4.0, 1.0])[time * 6 // LONG]
    start = {"long": streams.normal(shape, SEED + 21)}
    return Feed(start, {"long": gradients}, {"long": np.ones(LONG, bool)}, shares)


def readings(rule: Rule, dialect: str, dtype: str) -> Iterator[Reading]:
    """The ways in which a framework is known to take the rule; the plain one first."""
    yield Reading(rule)
    for deviation in DEVIATIONS:
        meant = (deviation.dialect, deviation.dtype) == (dialect, dtype) and type(rule).__name__ in deviation.sizes
        imitation = deviation.imitation(rule) if meant and deviation.imitation else rule
        if imitation != rule or (meant and deviation.imitation and deviation.scalars_in != "float64"):
            yield Reading(imitation, deviation.scalars_in, deviation)


def held(reading: Reading, trial: Trial, allowed: dict[str, np.ndarray] | None = None) -> Held:
    """The reading's steps against the box's; ``allowed`` are bounds known from before."""
    feed, dtype, account = trial.feed, trial.dtype, trial.account
    try:
        went = in_numpy.run(reading.rule, feed, dtype)
    except ValueError as error:
        return Held(_never(str(error)), next(iter(feed.start)), dtype, False, feed.steps)
    bounds = allowed or bound(reading, trial)
    verdicts = {
        name: trajectory.compare(feed.start[name], went.thetas[name], account.thetas[name], bounds[name])
        for name in feed.start
    }
    bits = all(np.array_equal(went.thetas[k], account.thetas[k], equal_nan=True) for k in feed.start)
    found = [Held(verdict, name, dtype, bits, feed.steps) for name, verdict in verdicts.items()]
    return max(found, key=lambda one: one.excess)


def bound(reading: Reading, trial: Trial) -> dict[str, np.ndarray]:
    """How far rounding can move the reading on the trial."""
    return _bound(reading.rule, reading.scalars_in, trial)


@functools.lru_cache(maxsize=128)
def _bound(rule: Rule, scalars_in: str, trial: Trial) -> dict[str, np.ndarray]:
    """Numbers that overflow, as fits may propose them, allow nothing."""
    try:
        with np.errstate(all="ignore"):
            return of_rule(rule, trial.feed, trial.dtype, scalars_in=scalars_in).thetas
    except ArithmeticError:
        return {name: np.zeros(array.shape) for name, array in trial.feed.gradients.items()}


def _never(why: str) -> trajectory.Verdict:
    return trajectory.Verdict(False, np.inf, 0.0, 1, 0, (np.nan, np.nan))


class Ruling(NamedTuple):
    """A rule, how it is taken in each dtype, how it was held to each trial, and which of its numbers were fitted."""

    rule: Rule
    readings: dict[str, Reading]
    held: list[Held]
    names: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it goes the box's way throughout."""
        return all(one.verdict.holds for one in self.held)

    @property
    def worst(self) -> Held:
        """Where it comes closest to its limit, or is farthest beyond."""
        return max(self.held, key=lambda one: one.excess)


def judge(rule: Rule, dialect: str, trials: Sequence[Trial]) -> Ruling:
    """The rule on all trials, or up to the first that no reading of it survives."""
    taken: dict[str, Reading] = {}
    found: list[Held] = []
    for trial in trials:
        told = (
            [taken[trial.dtype]]
            if trial.dtype in taken
            else list(readings(as_in(rule, trial.dtype), dialect, trial.dtype))
        )
        tried = []
        for reading in told:
            tried.append((held(reading, trial), reading))
            if tried[-1][0].verdict.holds:
                break
        best, taken[trial.dtype] = min(tried, key=lambda pair: pair[0].excess)
        found.append(best)
        if not best.verdict.holds:
            break
    return Ruling(rule, taken, found)


class Standard(NamedTuple):
    """What a rule that holds allows others: its own bounds on every trial, and its readings."""

    trials: Sequence[Trial]
    bounds: list[dict[str, np.ndarray]]
    readings: dict[str, Reading]

    def holds(self, other: Rule) -> bool:
        """Whether another rule, taken in the same way, goes the box's way as well."""
        for trial, bounds in zip(self.trials, self.bounds, strict=True):
            deviation = self.readings[trial.dtype].deviation
            told = as_in(other, trial.dtype)
            if deviation and deviation.imitation:
                told = deviation.imitation(told)
            if not held(Reading(told), trial, bounds).verdict.holds:
                return False
        return True


def standard(ruling: Ruling, trials: Sequence[Trial]) -> Standard:
    """The standard that a rule which holds sets."""
    return Standard(trials, [bound(ruling.readings[trial.dtype], trial) for trial in trials], ruling.readings)


def near(rule: Rule, dialect: str, trial: Trial, bounds: dict[str, np.ndarray]) -> bool:
    """Whether some reading of the rule comes so near to one trial that it is worth a judgement."""
    told = readings(as_in(rule, trial.dtype), dialect, trial.dtype)
    return any(held(reading, trial, bounds).excess <= WORTH for reading in told)


def as_in(rule: Rule, dtype: str) -> Rule:
    """The rule in a dtype. PyTorch's Adafactor has the machine epsilon of the weights for its first, unless told."""
    if isinstance(rule, Adafactor) and rule.epsilon1_at is Epsilon.FLOOR and rule.epsilon1 in MACHINE.values():
        return rule.replace(epsilon1=MACHINE[dtype])
    return rule
