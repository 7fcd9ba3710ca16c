"""Simulate an optimizer with a fault: a rule runs over all tensors of a trial, with something wrong
around it.

The same steps are taken in plain float64, which is fast, and with bounds on the rounding of a
dtype, which says how far an optimizer that has the fault may be from the simulation.
"""

import dataclasses
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.numpy import namespace as numpy_namespace
from samestep.parity.measure.bounded import (
    AnalysedRule,
    Bounded,
    bounded_coefficients,
    namespace,
    plain_coefficients,
)
from samestep.parity.measure.trial import Trial
from samestep.reference import Rule, scalars

Arrays = dict[str, np.ndarray]
Bases = tuple[float, ...]
SCALAR_FUNCTIONS = ("integer_power", "power", "sqrt", "where")  # that coefficients use


class StepState(NamedTuple):
    """What a step begins with or ends with.

    ``theta`` is a tensor, ``state`` the rule's state for it, and ``t`` the number of steps so far.
    """

    theta: Any
    state: dict[str, Any]
    t: int


class Moment(NamedTuple):
    """What a tensor begins a step with.

    ``past`` are all its states so far, the present one last. ``start`` is the rule's state at the
    start, ``lr`` the learning rate of the step, ``step`` its number from 0 and ``tensor`` the
    number of the tensor from 0.
    """

    past: Sequence[StepState]
    start: dict[str, Any]
    lr: float
    step: int
    tensor: int

    @property
    def now(self) -> StepState:
        """The present state."""
        return self.past[-1]

    @property
    def taken(self) -> int:
        """How many steps the tensor has taken."""
        return len(self.past) - 1


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong around a rule.

    ``before`` replaces what a tensor begins a step with. ``rate`` gives the learning rate of a
    step. ``uncorrected`` are the betas of means that are not corrected for their start at zero.
    ``shared`` are the names of states that all tensors of one shape share; with
    ``shared_count`` there is one count of steps, which every tensor advances.
    """

    before: Callable[[Moment], StepState] | None = None
    rate: Callable[[Moment], float] | None = None
    uncorrected: Bases = ()
    shared: frozenset[str] = frozenset()
    shared_count: bool = False


NO_FAULT = Fault()


@dataclasses.dataclass(frozen=True)
class Simulation:
    """A rule on a trial with a fault.

    ``rules`` are those of tensors that follow another one. ``gradient_errors`` (steps, *shape)
    bound by tensor how far rounding has moved its gradients.
    """

    rule: Rule
    trial: Trial
    fault: Fault = NO_FAULT
    rules: dict[str, Rule] = dataclasses.field(default_factory=dict)
    gradient_errors: Arrays = dataclasses.field(default_factory=dict)

    def run(self, names: Sequence[str] | None = None) -> Arrays:
        """The tensors after each step, (steps, *shape), in float64; those of ``names`` alone."""
        with np.errstate(all="ignore"):
            return _Steps(self, _Plain()).take(names)

    def run_bounded(self, dtype: str, scalars_in: str) -> tuple[Arrays, Arrays]:
        """The tensors after each step, and bounds on their rounding error in ``dtype``."""
        with np.errstate(all="ignore"):
            steps = _Steps(self, _WithBounds(dtype, scalars_in)).take(None)
        values = {}
        errors = {}
        for name, thetas in steps.items():
            shape = self.trial.start[name].shape
            values[name] = np.array([theta.value for theta in thetas])
            errors[name] = np.array([np.broadcast_to(theta.error, shape) for theta in thetas])
        return values, errors


class _Plain:
    """Steps in float64. Coefficients are kept: tensors at one step share them."""

    xp: Any = numpy_namespace

    def __init__(self) -> None:
        self.known: dict[tuple[Rule, int, float, Bases], Any] = {}

    def lift(self, array: np.ndarray, error: np.ndarray | None) -> Any:
        return array

    def coefficients(self, rule: Rule, t: int, lr: float, uncorrected: Bases) -> Any:
        key = (rule, t, lr, uncorrected)
        if key not in self.known:
            self.known[key] = rule.coefficients(t, lr, _without_powers(scalars, uncorrected))
        return self.known[key]

    def stack(self, thetas: list[Any]) -> Any:
        return np.array(thetas)


class _WithBounds:
    """Steps with bounds on the rounding in a dtype."""

    def __init__(self, dtype: str, scalars_in: str) -> None:
        self.dtype = dtype
        self.scalars_in = scalars_in
        self.xp: SimpleNamespace = namespace(scalars_in)

    def lift(self, array: np.ndarray, error: np.ndarray | None) -> Bounded:
        return Bounded(array, 0.0 if error is None else error, self.dtype)

    def coefficients(self, rule: Rule, t: int, lr: float, uncorrected: Bases) -> Any:
        analysed = AnalysedRule(rule, self.dtype, self.scalars_in)
        if not uncorrected:
            return plain_coefficients(analysed, t, lr)
        return bounded_coefficients(analysed, t, lr, _without_powers(self.xp, uncorrected))

    def stack(self, thetas: list[Any]) -> Any:
        return thetas


def _without_powers(xp: Any, bases: Bases) -> Any:
    """The scalar functions ``xp``, with powers of these bases, or of them in float32, zero."""
    if not bases:
        return xp
    zero = {*bases, *(float(np.float32(base)) for base in bases)}

    def integer_power(base: Any, exponent: Any) -> Any:
        power = xp.integer_power(base, exponent)
        return power * 0.0 if float(getattr(base, "value", base)) in zero else power

    functions = {name: getattr(xp, name) for name in SCALAR_FUNCTIONS}
    return SimpleNamespace(**{**functions, "integer_power": integer_power})


class _Steps:
    """Takes the steps of one simulation."""

    def __init__(self, simulation: Simulation, arithmetic: Any) -> None:
        self.simulation = simulation
        self.arithmetic = arithmetic
        self.count = 0  # of all tensors together
        self.pools: dict[tuple[str, tuple[int, ...]], Any] = {}

    def take(self, names: Sequence[str] | None) -> dict[str, Any]:
        """The tensors after each step."""
        trial = self.simulation.trial
        chosen = [name for name in trial.start if names is None or name in names]
        arithmetic = self.arithmetic
        pasts: dict[str, list[StepState]] = {}
        starts = {}
        thetas: dict[str, list[Any]] = {name: [] for name in chosen}
        for name in chosen:
            theta = arithmetic.lift(trial.start[name], None)
            starts[name] = self._rule(name).start(theta, arithmetic.xp)
            pasts[name] = [StepState(theta, starts[name], 0)]
        numbers = {name: number for number, name in enumerate(trial.start)}
        for step in range(trial.steps):
            for name in chosen:
                if trial.present[name][step]:
                    lr = trial.rate_at(self._rule(name).lr, step)
                    moment = Moment(pasts[name], starts[name], lr, step, numbers[name])
                    pasts[name].append(self._step(name, moment))
                thetas[name].append(pasts[name][-1].theta)
        return {name: arithmetic.stack(rows) for name, rows in thetas.items()}

    def _rule(self, name: str) -> Rule:
        return self.simulation.rules.get(name, self.simulation.rule)

    def _step(self, name: str, moment: Moment) -> StepState:
        """What a tensor has after a step."""
        simulation = self.simulation
        fault = simulation.fault
        begin = fault.before(moment) if fault.before else moment.now
        shape = simulation.trial.start[name].shape
        state = dict(begin.state)
        for key in fault.shared & state.keys():
            state[key] = self.pools.get((key, shape), state[key])
        count = self.count if fault.shared_count else begin.t
        lr = fault.rate(moment) if fault.rate else moment.lr
        rule = self._rule(name)
        coefficients = self.arithmetic.coefficients(rule, count + 1, lr, fault.uncorrected)
        errors = simulation.gradient_errors.get(name)
        gradient = self.arithmetic.lift(
            simulation.trial.gradients[name][moment.step],
            None if errors is None else errors[moment.step],
        )
        theta, new = rule.update(begin.theta, gradient, state, coefficients, self.arithmetic.xp)
        for key in fault.shared & new.keys():
            self.pools[key, shape] = new[key]
        self.count = count + 1 if fault.shared_count else self.count
        return StepState(theta, new, begin.t + 1)
