"""What may go wrong around a rule that is itself right: late gradients, steps left out, lost state. Each as a run."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.limits import Before, Standing
from samestep.reference import Rule

from . import in_numpy
from .account import Account
from .feed import Feed


class Suspicion(NamedTuple):
    """What the contestant may be doing, the stage that this is, and how a rule does it: on which feed, with what done
    before each step."""

    words: str
    stage: str
    rule: Rule
    feed: Feed
    before: Before | None = None

    def account(self, dtype: str) -> Account:
        """Where the rule goes if it does it."""
        return in_numpy.run(self.rule, self.feed, dtype, self.before)


def carried(rule: Rule, feed: Feed, step: int) -> Iterator[Suspicion]:
    """All that may begin, or happen once, at ``step`` (from 1)."""
    for words, stage, changed in _feeds(feed, step - 1):
        yield Suspicion(words, stage, rule, changed)
    for words, stage, before in _meddling(rule, feed, step - 1):
        yield Suspicion(words, stage, rule, feed, before)
    turned = rule.replace(maximize=not rule.maximize)
    yield Suspicion("takes the gradient with the other sign", "gradient", turned, feed)


def _feeds(feed: Feed, at: int) -> Iterator[tuple[str, str, Feed]]:
    """Other gradients, or other steps, than were given."""
    late = _gradients(feed, lambda step: max(step - 1, 0))
    yield (
        "takes at each step the gradient of the step before, and nothing at the first", "gradient",
        late._replace(present=_without(feed, 0)),
    )  # fmt: skip
    if at:
        number = at + 1
        stale = f"takes the gradient of step {at}"
        yield f"{stale} again at step {number}", "gradient", _gradients(feed, lambda s: s - 1 if s == at else s)
        yield f"{stale} at every step from {number} on", "gradient", _gradients(feed, lambda s: min(s, at - 1))
        yield (
            f"takes, from step {number} on, the gradient of the step before", "gradient",
            _gradients(feed, lambda s: s - 1 if s >= at else s),
        )  # fmt: skip
    yield (
        f"leaves out step {at + 1}, without counting it", "update",
        feed._replace(present=_without(feed, at)),
    )  # fmt: skip
    if len(set(feed.shares)) > 1:
        flat = np.full(feed.steps, feed.shares[0])
        yield "does not follow the learning rate where it changes", "update", feed._replace(shares=flat)


def _without(feed: Feed, at: int) -> dict[str, np.ndarray]:
    """At which steps a gradient comes, if none comes at step ``at``, from 0."""
    return {name: present & (np.arange(feed.steps) != at) for name, present in feed.present.items()}


def _gradients(feed: Feed, which: Callable[[int], int]) -> Feed:
    """The feed with the gradient of step ``which(step)`` at each step, from 0."""
    taken = [which(step) for step in range(feed.steps)]
    return feed._replace(gradients={name: array[taken] for name, array in feed.gradients.items()})


def _meddling(rule: Rule, feed: Feed, at: int) -> Iterator[tuple[str, str, Before]]:
    """State and parameters that are not what the step before left."""
    number = at + 1
    yield f"leaves out step {number}, but counts it", "update", _put_back(at, "theta", "")
    yield f"moves no parameter at step {number}", "update", _put_back(at, "theta")
    yield f"keeps nothing of step {number} but where the parameters went", "state", _put_back(at, "")
    yield f"begins step {number} with new state, its count as well", "state", _anew(at, "", count=True)
    yield f"begins step {number} with new state", "state", _anew(at, "")
    for name in sorted({name for start in feed.start.values() for name in rule.start(start, np)}):
        yield f"begins step {number} with a new {name}", "state", _anew(at, name)
        yield f"begins every step with a new {name}", "state", _anew(None, name)
        yield f"keeps at step {number} the {name} of the step before", "state", _put_back(at, name)
    yield "begins every step with new state", "state", _anew(None, "")
    yield "counts steps from 2", "", lambda past, start: past[-1]._replace(t=past[-1].t + (len(past) == 1))


def _put_back(at: int, *what: str) -> Before:
    """After step ``at``, from 0, put back what stood before it: ``theta``, a state by name, or all state (no name)."""

    def before(past: list[Standing], start: dict[str, Any]) -> Standing:
        now = past[-1]
        if len(past) != at + 2:
            return now
        old = past[at]
        state = {k: old.state[k] if {"", k} & set(what) else v for k, v in now.state.items()}
        return Standing(old.theta if "theta" in what else now.theta, state, now.t)

    return before


def _anew(at: int | None, name: str, count: bool = False) -> Before:
    """Before step ``at``, from 0, or before each, state as at first: one by name, or all of it; the count, too."""

    def before(past: list[Standing], start: dict[str, Any]) -> Standing:
        now = past[-1]
        if at is not None and len(past) != at + 1:
            return now
        state = {k: start[k] if name in ("", k) else v for k, v in now.state.items()}
        return Standing(now.theta, state, 0 if count else now.t)

    return before
