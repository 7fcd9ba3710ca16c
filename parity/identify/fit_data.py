"""How far a rule goes from where the black box went, in double precision: what a fit makes small.

It decides nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import samestep.frameworks.numpy.namespace as xp
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Rule


class Data(NamedTuple):
    """What was asked and where the box went, tensor by tensor; a step's rate is the rule's times its share."""

    starts: list[np.ndarray]
    gradients: list[np.ndarray]
    went: list[np.ndarray]
    rate_factors: np.ndarray
    unit: float

    def cut(self, steps: int) -> "Data":
        """The first steps."""
        gradients, went = ([x[:steps] for x in part] for part in (self.gradients, self.went))
        return Data(self.starts, gradients, went, self.rate_factors[:steps], self.unit)

    def scales(self) -> list[np.ndarray]:
        """What a gap is measured in, element by element: how far it went, and a little of where it was, more than its
        rounding."""
        found = []
        for start, went in zip(self.starts, self.went, strict=True):
            course = np.concatenate([start[None], np.nan_to_num(went)])
            path = np.abs(np.diff(course, axis=0)).sum(axis=0)
            noise = 1e5 * self.unit * np.abs(course).max(axis=0)
            found.append(path + 1e-3 * np.abs(start) + noise + np.finfo(np.float64).tiny)
        return found


def data(trajectory: Trajectory, trial: Trial, names: Sequence[str], steps: int, flat: bool) -> Data:
    """The trajectory as data; ``flat`` lays all elements side by side, for rules in which they do not act on each
    other."""
    starts = [trajectory.begin[name].astype(np.float64) for name in names]
    gradients = [trial.gradients[name][:steps] for name in names]
    went = [trajectory.thetas[name][:steps].astype(np.float64) for name in names]
    if flat:
        starts = [np.concatenate([x.ravel() for x in starts])]
        gradients, went = (
            [np.concatenate([x.reshape(len(x), -1) for x in part], axis=1)] for part in (gradients, went)
        )
    unit = float(np.finfo(trajectory.thetas[names[0]].dtype).eps) if names else 0.0
    return Data(starts, gradients, went, trial.rate_factors[:steps], unit)


def course(rule: Rule, given: Data) -> list[np.ndarray]:
    """Where the rule goes, in double precision."""
    found = []
    for start, gradients in zip(given.starts, given.gradients, strict=True):
        theta, state, thetas = start, rule.start(start, xp), []
        for t, (gradient, share) in enumerate(zip(gradients, given.rate_factors, strict=True), start=1):
            theta, state = rule.update(theta, gradient, state, rule.coefficients(t, rule.lr * share), xp)
            thetas.append(theta)
        found.append(np.array(thetas))
    return found


def gaps(rule: Rule, given: Data, scales: Sequence[np.ndarray]) -> np.ndarray:
    """The gap of every element at every step; large ones are bounded by 1, and so is what is no number."""
    with np.errstate(all="ignore"):
        try:
            went = course(rule, given)
        except ArithmeticError:
            return np.ones(sum(x.size for x in given.went))
        parts = []
        for mine, theirs, scale in zip(went, given.went, scales, strict=True):
            gap = (mine - theirs) / scale
            gap = np.where(np.isnan(mine) & np.isnan(theirs), 0.0, np.where(np.isfinite(gap), gap, 1e9))
            parts.append((gap / (1 + np.abs(gap))).ravel())
    return np.concatenate(parts)


def size(gap: np.ndarray) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(gap * gap)))
