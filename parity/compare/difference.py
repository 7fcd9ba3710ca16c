"""Where two accounts first part: step, tensor, element, stage, both values and the reference's."""

import importlib.util
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.runners.worker import RunResult
from samestep.reference import Rule

from .allowed import Limits, excess

DIGITS = 25  # of a 50-digit reference that are told


class Difference(NamedTuple):
    """``step`` from 1; 0 is before the first. ``element`` is an index into the tensor.

    ``stage`` is start, gradient, state or update. The values are those of the tensor, or of the ``state`` that is
    named; ``reference`` is what ``source`` has there, both empty where there is none; ``ulps`` are of the contestants'
    dtype at the first value.
    """

    step: int
    tensor: str
    element: tuple[int, ...]
    stage: str
    state: str
    values: tuple[float, float]
    ulps: float
    reference: str = ""
    source: str = ""


def first(
    a: RunResult, b: RunResult, allowed: Limits, trial: Trial, dtype: str, states: bool = True
) -> Difference | None:  # fmt: skip
    """The first difference beyond what is allowed; None if there is none. States are looked at up to that step, since
    two rules may keep different things and go the same way; or not at all."""
    for name in trial.start:
        if not np.array_equal(a.trajectory.begin[name], b.trajectory.begin[name]):
            one, other = a.trajectory.begin[name][None], b.trajectory.begin[name][None]
            return _at(one, other, -1, name, "start", "", np.zeros(one.shape))
    updates = [
        (step, 1, name, "") for name, bound in allowed.thetas.items()
        if (step := _step(a.trajectory.thetas[name], b.trajectory.thetas[name], bound)) is not None
    ]  # fmt: skip
    if not updates:
        return None
    last = min(updates)[0]
    kept = [
        (step, 0, name, state) for name, state in (comparable(a, b) if states else ())
        if state in allowed.states[name] and (step := _state(a, b, allowed, name, state)) is not None and step <= last
    ]  # fmt: skip
    step, order, name, state = min(kept + updates, key=lambda found: found[:2])
    one, other = (_of(trajectory, name, state) for trajectory in (a.trajectory, b.trajectory))
    bound = allowed.thetas[name] if order else allowed.states[name][state]
    found = _at(one, other, step, name, "update" if order else "state", state, bound)
    return with_reference(found, a.rule or b.rule, trial, dtype)


def comparable(a: RunResult, b: RunResult) -> list[tuple[str, str]]:
    """Tensor and state, wherever both keep one of the same name and meaning."""
    if a.rule and b.rule and (type(a.rule) is not type(b.rule) or _buffer(a.rule) != _buffer(b.rule)):
        return []
    return [
        (name, state) for name, kept in a.trajectory.states.items() for state, array in kept.items()
        if state in b.trajectory.states[name] and b.trajectory.states[name][state].shape == array.shape
    ]  # fmt: skip


def bits(a: Trajectory, b: Trajectory) -> int | None:
    """The first step, from 1, after which any tensor has other bits; None if none ever has."""
    steps = [_step(a.thetas[name], b.thetas[name], np.zeros_like(b.thetas[name], np.float64)) for name in a.thetas]
    return min((step + 1 for step in steps if step is not None), default=None)


def with_reference(found: Difference, rule: Rule | None, trial: Trial, dtype: str) -> Difference:
    """The difference with the reference's value there: the rule in float64, or the equation in 50 digits."""
    if rule is None or found.step == 0:
        return found
    if dtype != "float64":
        trajectory = in_numpy.run(rule, trial, "float64")
        value = float(_of(trajectory, found.tensor, found.state)[(found.step - 1, *found.element)])
        return found._replace(reference=repr(value), source=f"{rule!r} in float64")
    if found.state or importlib.util.find_spec("gmpy2") is None:
        return found
    from samestep.parity.truth import equations

    if type(rule) not in equations.STEPS:
        return found
    steps = np.flatnonzero(trial.present[found.tensor][: found.step])
    gradients = trial.gradients[found.tensor][(steps, *found.element)]
    rates = [trial.rate(rule.lr, int(step)) for step in steps]
    truth = equations.trajectory(rule, float(trial.start[found.tensor][found.element]), gradients, rates)[-1]
    return found._replace(reference=f"{truth:.{DIGITS}g}", source=f"{rule!r} in 50 digits")


def _of(trajectory: Trajectory, name: str, state: str) -> np.ndarray:
    return trajectory.states[name][state] if state else trajectory.thetas[name]


def _buffer(rule: Rule) -> object:
    return getattr(rule, "buffer", None)


def _state(a: RunResult, b: RunResult, allowed: Limits, name: str, state: str) -> int | None:
    one, other = (trajectory.states[name][state] for trajectory in (a.trajectory, b.trajectory))
    untold = np.isnan(one) | np.isnan(other)
    return _step(np.where(untold, 0, one), np.where(untold, 0, other), allowed.states[name][state])


def _step(one: np.ndarray, other: np.ndarray, bound: np.ndarray) -> int | None:
    """The first step, from 0, at which two arrays (steps, *shape) part beyond the bound."""
    beyond = (excess(one, other, bound) > 1).reshape(len(one), -1).any(axis=1)
    return int(np.argmax(beyond)) if beyond.any() else None


def _at(
    one: np.ndarray, other: np.ndarray, step: int, name: str, stage: str, state: str, bound: np.ndarray
) -> Difference:  # fmt: skip
    """The element of that step, from 0, that is most limits apart."""
    return furthest(one[step], other[step], step + 1, name, stage, state, bound[step])


def furthest(
    one: np.ndarray, other: np.ndarray, step: int, name: str, stage: str, state: str = "",
    bound: np.ndarray | None = None,
) -> Difference:  # fmt: skip
    """The difference of two arrays at the element that is most limits apart; without a bound, where the gap is
    largest."""
    none = np.zeros(one.shape)
    gap, _, apart = verdicts.held(one.astype(np.float64), other.astype(np.float64), none if bound is None else bound)
    found = gap if bound is None else apart
    element = tuple(int(i) for i in np.unravel_index(np.argmax(found), found.shape))
    values = float(one[element]), float(other[element])
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.abs(one[element])) if one.dtype.kind == "f" else 1.0
        ulps = float(abs(values[0] - values[1]) / spacing)
    return Difference(step, name, element, stage, state, values, ulps)
