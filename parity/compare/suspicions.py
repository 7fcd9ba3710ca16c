"""What may go wrong around a rule that is itself right: late gradients, steps left out, lost state. Each as a run."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.limits import Before, Standing
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.reference import Rule


class Suspicion(NamedTuple):
    """What the contestant may be doing, the stage that this is, and how a rule does it: on which trial, with what done
    before each step."""

    words: str
    stage: str
    rule: Rule
    trial: Trial
    before: Before | None = None

    def trajectory(self, dtype: str) -> Trajectory:
        """Where the rule goes if it does it."""
        return in_numpy.run(self.rule, self.trial, dtype, self.before)


def carried(rule: Rule, trial: Trial, step: int) -> Iterator[Suspicion]:
    """All that may begin, or happen once, at ``step`` (from 1)."""
    for words, stage, changed in _feeds(trial, step - 1):
        yield Suspicion(words, stage, rule, changed)
    for words, stage, before in _meddling(rule, trial, step - 1):
        yield Suspicion(words, stage, rule, trial, before)
    turned = rule.replace(maximize=not rule.maximize)
    yield Suspicion("takes the gradient with the other sign", "gradient", turned, trial)


def _feeds(trial: Trial, at: int) -> Iterator[tuple[str, str, Trial]]:
    """Other gradients, or other steps, than were given."""
    late = _gradients(trial, lambda step: max(step - 1, 0))
    yield (
        "takes at each step the gradient of the step before, and nothing at the first", "gradient",
        late._replace(present=_without(trial, 0)),
    )  # fmt: skip
    if at:
        number = at + 1
        stale = f"takes the gradient of step {at}"
        yield f"{stale} again at step {number}", "gradient", _gradients(trial, lambda s: s - 1 if s == at else s)
        yield f"{stale} at every step from {number} on", "gradient", _gradients(trial, lambda s: min(s, at - 1))
        yield (
            f"takes, from step {number} on, the gradient of the step before", "gradient",
            _gradients(trial, lambda s: s - 1 if s >= at else s),
        )  # fmt: skip
    yield (
        f"leaves out step {at + 1}, without counting it", "update",
        trial._replace(present=_without(trial, at)),
    )  # fmt: skip
    if len(set(trial.rate_factors)) > 1:
        flat = np.full(trial.steps, trial.rate_factors[0])
        yield "does not follow the learning rate where it changes", "update", trial._replace(rate_factors=flat)


def _without(trial: Trial, at: int) -> dict[str, np.ndarray]:
    """At which steps a gradient comes, if none comes at step ``at``, from 0."""
    return {name: present & (np.arange(trial.steps) != at) for name, present in trial.present.items()}


def _gradients(trial: Trial, which: Callable[[int], int]) -> Trial:
    """The trial with the gradient of step ``which(step)`` at each step, from 0."""
    taken = [which(step) for step in range(trial.steps)]
    return trial._replace(gradients={name: array[taken] for name, array in trial.gradients.items()})


def _meddling(rule: Rule, trial: Trial, at: int) -> Iterator[tuple[str, str, Before]]:
    """State and parameters that are not what the step before left."""
    number = at + 1
    yield f"leaves out step {number}, but counts it", "update", _put_back(at, "theta", "")
    yield f"moves no parameter at step {number}", "update", _put_back(at, "theta")
    yield f"keeps nothing of step {number} but where the parameters went", "state", _put_back(at, "")
    yield f"begins step {number} with new state, its count as well", "state", _anew(at, "", count=True)
    yield f"begins step {number} with new state", "state", _anew(at, "")
    for name in sorted({name for start in trial.start.values() for name in rule.start(start, np)}):
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
