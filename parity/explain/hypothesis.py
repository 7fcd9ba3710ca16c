"""A hypothesis: what an optimizer may do instead of the expected steps."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import limits
from samestep.parity.measure.limits import Limits
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import judge
from samestep.parity.natives.deviations import Deviation
from samestep.parity.natives.interpretations import Interpretation, imitate
from samestep.reference import Rule, dialects

from .simulation import NO_FAULT, Arrays, Fault, Simulation


class View(NamedTuple):
    """How a rule sees a tensor: its axes in another order, then in another shape."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, array: np.ndarray) -> np.ndarray:
        """The array (*shape), or arrays (steps, *shape), as the rule sees them."""
        leading = array.ndim - len(self.axes)
        axes = [*range(leading), *(axis + leading for axis in self.axes)]
        return array.transpose(axes).reshape(*array.shape[:leading], *self.shape)

    def back(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The arrays (steps, *self.shape) in the tensor's own shape."""
        seen = [shape[axis] for axis in self.axes]
        back = np.argsort(self.axes)
        return array.reshape(len(array), *seen).transpose(0, *(back + 1))


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """What an optimizer may do: follow ``rule`` on ``trial``, with a fault around it.

    ``text`` completes the sentence "it takes the steps of ...". ``stage`` is the stage of a step
    that is at fault: "gradient", "state", "update", or empty. ``rules`` are those of tensors that
    follow another one. ``gradient_errors`` bound how far rounding has moved the trial's gradients.
    ``views`` say how the rule sees tensors. ``deviation`` is the known deviation with which the
    framework carries out its rules, ``scalars_in`` the dtype in which coefficients are computed.
    ``digits`` is the number of digits of a number that was estimated. The sentence ends
    with the call that means the rule ``spelled_rule``, if there is one.
    """

    text: str
    stage: str
    rule: Rule
    trial: Trial
    fault: Fault = NO_FAULT
    rules: dict[str, Rule] = dataclasses.field(default_factory=dict)
    gradient_errors: Arrays = dataclasses.field(default_factory=dict)
    views: dict[str, View] = dataclasses.field(default_factory=dict)
    deviation: Deviation | None = None
    scalars_in: str = "float64"
    digits: int = 0
    spelled_rule: Rule | None = None

    def sentence(self) -> str:
        """The text, with the call of the rule; finding it takes a while."""
        return self.text + spelled(self.spelled_rule) if self.spelled_rule else self.text

    def carried_out(self, interpretation: Interpretation) -> "Hypothesis | None":
        """The hypothesis as a framework with a deviation carries it out; None if it cannot, or if
        it is about another deviation.
        """
        deviation = interpretation.deviation
        if deviation is None:
            return self
        if self.deviation is not None:
            return None
        rule = imitate(self.rule, deviation)
        rules = {name: imitate(each, deviation) for name, each in self.rules.items()}
        if rule is None or None in rules.values():
            return None
        return dataclasses.replace(
            self,
            rule=rule,
            rules={name: each for name, each in rules.items() if each},
            deviation=deviation,
            scalars_in=deviation.scalars_in,
        )

    @property
    def is_plain(self) -> bool:
        """True if it is a rule on the trial as it is."""
        extras = (self.rules, self.gradient_errors, self.views)
        return self.fault is NO_FAULT and not any(extras)

    def _simulation(self) -> Simulation:
        trial = self.trial
        start = dict(trial.start)
        gradients = dict(trial.gradients)
        for name, view in self.views.items():
            start[name] = view.of(start[name])
            gradients[name] = view.of(gradients[name])
        if self.views:
            trial = trial.replace(start=start, gradients=gradients)
        return Simulation(self.rule, trial, self.fault, self.rules, self.gradient_errors)

    def _in_own_shapes(self, arrays: Arrays) -> Arrays:
        shapes = {name: start.shape for name, start in self.trial.start.items()}
        return {
            name: self.views[name].back(array, shapes[name]) if name in self.views else array
            for name, array in arrays.items()
        }

    def first_steps(self, steps: int, names: list[str]) -> Arrays:
        """The first steps of these tensors, (steps, *shape) each, in float64.

        ValueError or ArithmeticError if it cannot take them.
        """
        short = dataclasses.replace(
            self,
            trial=self.trial.first(steps),
            gradient_errors={name: errors[:steps] for name, errors in self.gradient_errors.items()},
        )
        together = self.fault.shared or self.fault.shared_count
        return self._in_own_shapes(short._simulation().run(None if together else names))

    def trajectory(self) -> Trajectory:
        """The trajectory of the hypothesis in float64."""
        if self.is_plain:
            return run_rule(self.rule, self.trial, "float64")
        return self._as_trajectory(self._simulation().run())

    def _as_trajectory(self, arrays: Arrays) -> Trajectory:
        thetas = self._in_own_shapes(arrays)
        return Trajectory(self.trial.start, thetas, {name: {} for name in thetas})

    def has_trajectory(self, actual: Trajectory, dtype: str) -> bool:
        """True if ``actual`` is the hypothesis' trajectory, within its limits in ``dtype``."""
        try:
            if self.is_plain:
                trajectory = self.trajectory()
                bounds = limits.of_rule(self.rule, self.trial, dtype, self.scalars_in)
            else:
                values, errors = self._simulation().run_bounded(dtype, self.scalars_in)
                trajectory = self._as_trajectory(values)
                bounds = Limits(self._in_own_shapes(errors), {name: {} for name in errors})
        except (ValueError, ArithmeticError):  # so wrong that it cannot take the steps
            return False
        return judge(self.trial, trajectory, actual, bounds).holds


def spelled(rule: Rule) -> str:
    """The call that means the rule, as the end of a sentence; empty if neither PyTorch nor Keras
    has one.
    """
    for name in ("pytorch", "keras"):
        try:
            return f", or {name}:{dialects.find(name).spell(rule)}"
        except dialects.Inexpressible:
            continue
    return ""


class Unknown(NamedTuple):
    """A hypothesis with a number that must be estimated.

    ``make`` gives the hypothesis for a number and a trial, None if there is none. ``grid`` are
    numbers to begin with, in rising order.
    """

    make: Callable[[float, Trial], Hypothesis | None]
    grid: tuple[float, ...]


Proposals = Iterator[Hypothesis | Unknown]
