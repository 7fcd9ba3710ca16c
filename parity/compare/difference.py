"""Where two trajectories first differ: step, tensor, element, stage, both values and the
reference's.
"""

import importlib.util
from typing import NamedTuple

import numpy as np

from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.verdict import measure_gaps
from samestep.reference import Rule

from .comparison import Comparison

DIGITS = 25  # of a 50-digit reference that are shown


class Difference(NamedTuple):
    """The first difference. ``step`` counts from 1; 0 is before the first. ``element`` is an index
    into the tensor.

    ``stage`` is start, gradient, state or update. The values are those of the tensor, or of its
    state called ``state``; ``reference`` is the value of ``source`` there, both empty if there is
    none. ``ulps`` is the gap in units in the last place of the first value.
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


class Location(NamedTuple):
    """A step (from 1, 0 before the first), a tensor, the stage of the step, and the name of a
    state, if it is one.
    """

    step: int
    tensor: str
    stage: str
    state: str = ""


class _ByTensor(NamedTuple):
    """The values of both sides, and the bound on their distance; (steps, *shape) each."""

    a: np.ndarray
    b: np.ndarray
    bound: np.ndarray

    def first_step_beyond(self) -> int | None:
        """The first step, from 1, at which any element is beyond its limit; None if there is
        none.
        """
        gaps = measure_gaps(self.a.astype(np.float64), self.b.astype(np.float64), self.bound)
        beyond = (gaps.excess > 1).reshape(len(self.a), -1).any(axis=1)
        return int(np.argmax(beyond)) + 1 if beyond.any() else None

    def at(self, location: Location) -> Difference:
        """The difference at a step, at the element that is most limits apart."""
        row = location.step - 1
        return furthest(location, self.a[row], self.b[row], self.bound[row])


def first(comparison: Comparison, states: bool = True) -> Difference | None:
    """The first difference beyond the limits; None if there is none.

    States are looked at up to the first difference of a tensor, since two rules may keep different
    things and still take the same steps; with ``states`` off, not at all.
    """
    at_start = _first_at_start(comparison)
    if at_start:
        return at_start
    updates = []
    for name in comparison.limits.thetas:
        step = _thetas(comparison, name).first_step_beyond()
        if step is not None:
            updates.append(Location(step, name, "update"))
    if not updates:
        return None
    location = min(updates, key=lambda update: update.step)
    in_states = _first_in_states(comparison, location.step) if states else None
    if in_states:
        location = in_states
        values = _states(comparison, location.tensor, location.state)
    else:
        values = _thetas(comparison, location.tensor)
    return _with_reference(comparison, values.at(location))


def _first_at_start(comparison: Comparison) -> Difference | None:
    """The difference of a tensor before the first step."""
    for name in comparison.trial.start:
        begin_a = comparison.a.trajectory.begin[name]
        begin_b = comparison.b.trajectory.begin[name]
        if not np.array_equal(begin_a, begin_b):
            return furthest(Location(0, name, "start"), begin_a, begin_b, np.zeros(begin_a.shape))
    return None


def _first_in_states(comparison: Comparison, last: int) -> Location | None:
    """The first difference of a state, up to the step ``last``."""
    locations = []
    for name, state in comparable_states(comparison):
        step = _states(comparison, name, state).first_step_beyond()
        if step is not None and step <= last:
            locations.append(Location(step, name, "state", state))
    return min(locations, key=lambda location: location.step, default=None)


def _thetas(comparison: Comparison, name: str) -> _ByTensor:
    a, b = (side.trajectory.thetas[name] for side in comparison.sides)
    return _ByTensor(a, b, comparison.limits.thetas[name])


def _states(comparison: Comparison, name: str, state: str) -> _ByTensor:
    """The values of a state; zero where one side does not have it yet."""
    a, b = (side.trajectory.states[name][state] for side in comparison.sides)
    missing = np.isnan(a) | np.isnan(b)
    bound = comparison.limits.states[name][state]
    return _ByTensor(np.where(missing, 0, a), np.where(missing, 0, b), bound)


def comparable_states(comparison: Comparison) -> list[tuple[str, str]]:
    """Tensor and state, wherever both sides keep one of the same name, meaning and shape, and its
    limit is known.
    """
    rule_a = comparison.a.rule
    rule_b = comparison.b.rule
    if rule_a and rule_b and not _keep_the_same(rule_a, rule_b):
        return []
    pairs = []
    for name, states in comparison.a.trajectory.states.items():
        for state, array in states.items():
            second = comparison.b.trajectory.states[name].get(state)
            limit = comparison.limits.states[name].get(state)
            if (
                second is not None
                and limit is not None
                and second.shape == array.shape == limit.shape
            ):
                pairs.append((name, state))
    return pairs


def _keep_the_same(rule_a: Rule, rule_b: Rule) -> bool:
    """True if states of one name mean the same in two rules."""
    return type(rule_a) is type(rule_b) and getattr(rule_a, "buffer", None) == getattr(
        rule_b, "buffer", None
    )


def first_other_bits(comparison: Comparison) -> int | None:
    """The first step, from 1, after which any tensor has other bits; None if none ever has."""
    steps = []
    for name in comparison.trial.start:
        values = _thetas(comparison, name)
        steps.append(values._replace(bound=np.zeros(values.bound.shape)).first_step_beyond())
    return min((step for step in steps if step is not None), default=None)


def furthest(
    location: Location, a: np.ndarray, b: np.ndarray, bound: np.ndarray | None = None
) -> Difference:
    """The difference of two arrays at the element that is most limits apart; without a bound, of
    the largest gap.
    """
    limits = np.zeros(a.shape) if bound is None else bound
    gaps = measure_gaps(a.astype(np.float64), b.astype(np.float64), limits)
    ranked = gaps.gap if bound is None else gaps.excess
    element = tuple(int(i) for i in np.unravel_index(np.argmax(ranked), ranked.shape))
    values = (float(a[element]), float(b[element]))
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.abs(a[element])) if a.dtype.kind == "f" else 1.0
        ulps = float(abs(values[0] - values[1]) / spacing)
    return Difference(
        location.step, location.tensor, element, location.stage, location.state, values, ulps
    )


def _with_reference(comparison: Comparison, difference: Difference) -> Difference:
    """The difference with the reference's value there: the rule in float64, or the equation in 50
    digits.
    """
    rule = comparison.rule
    if rule is None or difference.step == 0:
        return difference
    if comparison.dtype != "float64":
        trajectory = run_rule(rule, comparison.trial, "float64")
        value = float(_values(trajectory, difference)[(difference.step - 1, *difference.element)])
        return difference._replace(reference=repr(value), source=f"{rule!r} in float64")
    if difference.state or importlib.util.find_spec("gmpy2") is None:
        return difference
    return _with_truth(comparison, difference, rule)


def _values(trajectory: Trajectory, difference: Difference) -> np.ndarray:
    name = difference.tensor
    return (
        trajectory.states[name][difference.state] if difference.state else trajectory.thetas[name]
    )


def _with_truth(comparison: Comparison, difference: Difference, rule: Rule) -> Difference:
    from samestep.parity.truth import equations  # needs gmpy2

    if type(rule) not in equations.STEPS:
        return difference
    trial = comparison.trial
    steps = np.flatnonzero(trial.present[difference.tensor][: difference.step])
    gradients = trial.gradients[difference.tensor][(steps, *difference.element)]
    rates = [trial.rate_at(rule.lr, int(step)) for step in steps]
    start = float(trial.start[difference.tensor][difference.element])
    truth = equations.trajectory(rule, start, gradients, rates)[-1]
    return difference._replace(reference=f"{truth:.{DIGITS}g}", source=f"{rule!r} in 50 digits")
