"""How far rounding can have parted two contestants that do the same."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure import limits
from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.runners.worker import RunResult
from samestep.reference import Rule

SEED = 11


class Limits(NamedTuple):
    """Bounds by tensor, (steps, *shape), of where it is and of what is kept; and in words where they are from."""

    thetas: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]
    words: str

    def mean(self, other: "Limits") -> "Limits":
        """For two that follow two rules: ``SAFETY`` counts both sides, so each brings half. Of states those that both
        keep."""
        states = {
            name: {k: (v + other.states[name][k]) / 2 for k, v in kept.items() if k in other.states[name]}
            for name, kept in self.states.items()
        }
        thetas = {name: (bound + other.thetas[name]) / 2 for name, bound in self.thetas.items()}
        return Limits(thetas, states, self.words)


def pair(
    a: RunResult, b: RunResult, trial: Trial, dtype: str, again: Callable[[Trial], tuple[RunResult, RunResult]]
) -> Limits:
    """For two runs: each may be as far off as its rule allows; a box without a rule is taken to follow the other's.

    Where neither has a rule, ``again`` runs both on disturbed trials, and the response is measured.
    """
    one, other = a.rule or b.rule, b.rule or a.rule
    if one is None or other is None:
        return measured(a.trajectory, b.trajectory, trial, dtype, again)
    both = "both rules" if one != other else f"{one!r}"
    taken = "" if a.rule and b.rule else f", which {'B' if a.rule else 'A'} is taken to follow"
    allowed = of_rule(one, trial, dtype).mean(of_rule(other, trial, dtype))
    return allowed._replace(words=f"derived from the rounding of {both} in {dtype}{taken}")


def of_rule(
    rule: Rule, trial: Trial, dtype: str, before: limits.Before | None = None, scalars_in: str = "float64"
) -> Limits:
    """By running error analysis of the rule, tensor by tensor; the last two arguments as of ``limits.follow``."""
    thetas: dict[str, np.ndarray] = {}
    states: dict[str, dict[str, np.ndarray]] = {}
    for name, start in trial.start.items():
        present = trial.present[name]
        rates = [trial.rate(rule.lr, int(step)) for step in np.flatnonzero(present)]
        followed = list(limits.follow(rule, start, trial.gradients[name][present], dtype, rates, scalars_in, before))
        rows = np.cumsum(present)  # of the errors below: the first is that of no step yet
        thetas[name] = _rows(np.zeros_like(start), [now.error for now, _ in followed])[rows]
        kept = followed[-1][1] if followed else {}
        states[name] = {
            k: _rows(np.zeros_like(value.error), [state[k].error for _, state in followed])[rows]
            for k, value in kept.items()
        }
    return Limits(thetas, states, "")


def _rows(first: np.ndarray, errors: list[np.ndarray]) -> np.ndarray:
    return np.array([first, *(np.broadcast_to(error, np.shape(first)) for error in errors)])


def measured(
    a: Trajectory, b: Trajectory, trial: Trial, dtype: str, again: Callable[[Trial], tuple[RunResult, RunResult]]
) -> Limits:  # fmt: skip
    """The response of two black boxes to gradients that are one ulp larger, or one ulp off at random, and what rounding
    each position once a step adds to it. Element by element, never falling from step to step."""
    responses: list[Limits] = []
    for disturbed in (disturb(trial, dtype, at_random=False), disturb(trial, dtype, at_random=True)):
        for before, after in zip((a, b), again(disturbed), strict=True):
            responses.append(_response(before, after.trajectory, dtype))
    first = responses[0]
    worst = first._replace(
        thetas={k: np.maximum.reduce([r.thetas[k] for r in responses]) for k in first.thetas},
        states={
            k: {s: np.maximum.reduce([r.states[k][s] for r in responses if s in r.states[k]]) for s in kept}
            for k, kept in first.states.items()
        },
    )
    return worst


def disturb(trial: Trial, dtype: str, at_random: bool) -> Trial:
    """The trial with each gradient one ulp of ``dtype`` away: all upward, or up and down at random."""
    generator = np.random.Philox(key=SEED)

    def off(array: np.ndarray) -> np.ndarray:
        words = generator.random_raw(array.size).reshape(array.shape)
        up = np.where(words & 1, np.inf, -np.inf) if at_random else np.full(array.shape, np.inf)
        return np.where(array == 0, 0.0, np.nextafter(array.astype(dtype), up.astype(dtype))).astype(np.float64)

    return trial._replace(gradients={name: off(array) for name, array in trial.gradients.items()})


def _response(before: Trajectory, after: Trajectory, dtype: str) -> Limits:
    def gap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        moved = np.nan_to_num(np.abs(one.astype(np.float64) - other.astype(np.float64)))
        rounded = np.cumsum(limits.ROUNDOFF[dtype] * np.abs(np.nan_to_num(one.astype(np.float64))), axis=0)
        return np.maximum.accumulate(moved, axis=0) + rounded

    thetas = {name: gap(array, after.thetas[name]) for name, array in before.thetas.items()}
    states = {name: {k: gap(v, after.states[name][k]) for k, v in kept.items()} for name, kept in before.states.items()}
    return Limits(thetas, states, "measured: the response to gradients one ulp off, and one rounding a step")


def holds(went: Trajectory, meant: Trajectory, allowed: Limits) -> bool:
    """Whether two accounts are nowhere farther apart than allowed."""
    return all(
        bool((excess(went.thetas[name], meant.thetas[name], bound) <= 1).all())
        for name, bound in allowed.thetas.items()
    )


def excess(one: np.ndarray, other: np.ndarray, bound: np.ndarray) -> Any:
    """Elementwise: how many limits two arrays (steps, *shape) are apart."""
    return verdicts.held(one.astype(np.float64), other.astype(np.float64), bound)[2]
