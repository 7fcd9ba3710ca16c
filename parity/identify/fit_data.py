"""The steps of an unknown optimizer as data for a fit, and how far a rule is from them.

Everything is computed in float64. The error of a rule is used to propose it, never to decide.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from samestep.reference import Rule

from .batch import Tensor, follow_all
from .observe import Observation

UNKNOWN = 1e9  # the error, in scales, where one side is not finite
MOST_AT_ONCE = 64  # rules that are followed together
NOISE = 1e5  # machine epsilons of the largest value: rounding counts for little


@dataclasses.dataclass(frozen=True)
class FitData:
    """Some tensors of an observation, and its first steps.

    One array a tensor: ``starts`` (*shape), ``gradients`` and ``thetas`` (steps, *shape), the
    values after each step. ``rate_factors`` (steps,) multiply a rule's learning rate.
    ``machine_epsilon`` is that of the dtype in which the optimizer ran. ``elementwise`` is False
    for rules in which elements of a tensor influence each other.
    """

    starts: list[np.ndarray]
    gradients: list[np.ndarray]
    thetas: list[np.ndarray]
    rate_factors: np.ndarray
    machine_epsilon: float
    elementwise: bool

    def first_steps(self, steps: int) -> "FitData":
        """The data of the first steps alone."""
        gradients = [array[:steps] for array in self.gradients]
        thetas = [array[:steps] for array in self.thetas]
        factors = self.rate_factors[:steps]
        return FitData(
            self.starts, gradients, thetas, factors, self.machine_epsilon, self.elementwise
        )

    @functools.cached_property
    def scales(self) -> list[np.ndarray]:
        """By tensor (*shape): the unit of errors.

        The path of the element, plus a little of its start, plus far more than its rounding.
        """
        scales = []
        for start, thetas in zip(self.starts, self.thetas, strict=True):
            values = np.concatenate([start[None], np.nan_to_num(thetas)])
            path = np.abs(np.diff(values, axis=0)).sum(axis=0)
            noise = NOISE * self.machine_epsilon * np.abs(values).max(axis=0)
            tiny = np.finfo(np.float64).tiny
            scales.append(path + 1e-3 * np.abs(start) + noise + tiny)
        return scales

    @property
    def size(self) -> int:
        """The number of residuals: elements times steps."""
        return sum(thetas.size for thetas in self.thetas)

    def thetas_of(self, rules: Sequence[Rule]) -> list[np.ndarray]:
        """The values after each step of rules of one kind, by tensor (rules, steps, *shape).

        ArithmeticError if one of them cannot take a step.
        """
        return [
            follow_all(rules, Tensor(start, gradients, self.rate_factors, self.elementwise))
            for start, gradients in zip(self.starts, self.gradients, strict=True)
        ]

    def residuals(self, rules: Sequence[Rule]) -> np.ndarray:
        """The errors of all elements at all steps, (rules, size), each between -1 and 1.

        An error x in scales becomes x / (1 + |x|), so that a few large ones do not hide the rest.
        """
        with np.errstate(all="ignore"):
            try:
                values = self.thetas_of(rules)
            except ArithmeticError:
                return self._residuals_one_by_one(rules)
            parts = []
            for ours, theirs, scale in zip(values, self.thetas, self.scales, strict=True):
                error = (ours - theirs) / scale
                error = np.where(np.isfinite(error), error, UNKNOWN)
                error = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, error)
                parts.append((error / (1 + np.abs(error))).reshape(len(rules), -1))
        return np.concatenate(parts, axis=1)

    def _residuals_one_by_one(self, rules: Sequence[Rule]) -> np.ndarray:
        """The same where some rule cannot take a step; the largest possible for that one."""
        if len(rules) == 1:
            return np.ones((1, self.size))
        return np.concatenate([self.residuals([rule]) for rule in rules])

    def errors(self, rules: Sequence[Rule]) -> np.ndarray:
        """The root mean square of the residuals of each rule, (rules,)."""
        parts = [
            root_mean_square(self.residuals(rules[begin : begin + MOST_AT_ONCE]))
            for begin in range(0, len(rules), MOST_AT_ONCE)
        ]
        return np.concatenate(parts)

    def error(self, rule: Rule) -> float:
        """The root mean square of the residuals of one rule."""
        return float(self.errors([rule])[0])


def fit_data(
    observation: Observation, names: Sequence[str], steps: int, elementwise: bool
) -> FitData:
    """The first steps of these tensors.

    ``elementwise`` joins all tensors into one, which is faster, for rules in which elements do not
    influence each other.
    """
    trajectory = observation.trajectory
    trial = observation.trial
    starts = [trajectory.begin[name].astype(np.float64) for name in names]
    gradients = [trial.gradients[name][:steps] for name in names]
    thetas = [trajectory.thetas[name][:steps].astype(np.float64) for name in names]
    if elementwise and names:
        starts = [np.concatenate([start.ravel() for start in starts])]
        gradients = [_joined(gradients)]
        thetas = [_joined(thetas)]
    epsilon = float(np.finfo(observation.dtype).eps)
    return FitData(starts, gradients, thetas, trial.rate_factors[:steps], epsilon, elementwise)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (steps, *shape) side by side, (steps, elements)."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def root_mean_square(values: np.ndarray) -> np.ndarray:
    """The root mean square along the last axis."""
    return np.asarray(np.sqrt(np.mean(values * values, axis=-1)))
