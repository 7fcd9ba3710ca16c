"""The steps of an unknown optimizer as data for a fit, and how far a rule is from them.

Everything is computed in float64. The error of a rule is used to propose it, never to decide.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

import samestep.frameworks.numpy.namespace as xp
from samestep.reference import Rule

from .observe import Observation

UNKNOWN = 1e9  # the error, in scales, where one side is not finite
NOISE = 1e5  # machine epsilons of the largest value: rounding counts for little


@dataclasses.dataclass(frozen=True)
class FitData:
    """Some tensors of an observation, and its first steps.

    One array a tensor: ``starts`` (*shape), ``gradients`` and ``thetas`` (steps, *shape), the
    values after each step. ``rate_factors`` (steps,) multiply a rule's learning rate.
    ``machine_epsilon`` is that of the dtype in which the optimizer ran.
    """

    starts: list[np.ndarray]
    gradients: list[np.ndarray]
    thetas: list[np.ndarray]
    rate_factors: np.ndarray
    machine_epsilon: float

    def first_steps(self, steps: int) -> "FitData":
        """The data of the first steps alone."""
        gradients = [array[:steps] for array in self.gradients]
        thetas = [array[:steps] for array in self.thetas]
        factors = self.rate_factors[:steps]
        return FitData(self.starts, gradients, thetas, factors, self.machine_epsilon)

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

    def thetas_of(self, rule: Rule) -> list[np.ndarray]:
        """The values after each step of the rule, by tensor (steps, *shape)."""
        return [
            self._follow(rule, *tensor) for tensor in zip(self.starts, self.gradients, strict=True)
        ]

    def _follow(self, rule: Rule, start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
        theta = start
        state = rule.start(start, xp)
        thetas = []
        for t, gradient in enumerate(gradients, start=1):
            coefficients = rule.coefficients(t, rule.lr * self.rate_factors[t - 1])
            theta, state = rule.update(theta, gradient, state, coefficients, xp)
            thetas.append(theta)
        return np.array(thetas)

    def residuals(self, rule: Rule) -> np.ndarray:
        """The errors of all elements at all steps, (size,), each between -1 and 1.

        An error x in scales becomes x / (1 + |x|), so that a few large ones do not hide the rest.
        """
        with np.errstate(all="ignore"):
            try:
                values = self.thetas_of(rule)
            except ArithmeticError:
                return np.ones(self.size)
            parts = []
            for ours, theirs, scale in zip(values, self.thetas, self.scales, strict=True):
                error = (ours - theirs) / scale
                error = np.where(np.isfinite(error), error, UNKNOWN)
                error = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, error)
                parts.append((error / (1 + np.abs(error))).ravel())
        return np.concatenate(parts)

    def error(self, rule: Rule) -> float:
        """The root mean square of the residuals."""
        return root_mean_square(self.residuals(rule))


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
    return FitData(starts, gradients, thetas, trial.rate_factors[:steps], epsilon)


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (steps, *shape) side by side, (steps, elements)."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def root_mean_square(values: np.ndarray) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(values * values)))
