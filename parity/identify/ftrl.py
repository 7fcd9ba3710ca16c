"""What the first step alone shows of FTRL's numbers.

From theta = 0 the first step is -sign(g) max(|g| - l1, 0) / ((n + g^2)^p / lr + ridge), where n is
the initial accumulator, p is -lr_power and ridge is 2 l2 + beta / lr.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from .family import TINY
from .features import Features

POWERS = (0.5, 0.3, 0.15, 0.7, 0.9)
ACCUMULATORS = (1e-3, 0.1, 10.0)
RIDGES = (1e-6, 1e-2, 1.0)  # times lr
EVALUATIONS = 60
USUAL_POWER = 0.5
SAME_POWER = 1e-5  # powers this close are taken to be equal
FITS = 1e-3  # a larger error is not FTRL's


class FirstStep(NamedTuple):
    """Numbers that fit the first step, and the error: a share of each step's length."""

    error: float
    lr: float
    power: float
    initial_accumulator: float
    l1: float
    ridge: float

    @property
    def fits(self) -> bool:
        """True if the optimizer may be FTRL."""
        return self.error < FITS

    @property
    def has_usual_power(self) -> bool:
        """True if the power may be a square root."""
        return abs(self.power - USUAL_POWER) < SAME_POWER


@functools.lru_cache(maxsize=4)
def fit_first_step(features: Features) -> FirstStep:
    """The numbers that come nearest to the first step; an infinite error if it has no length."""
    sizes = np.array(features.sizes)
    lengths = np.array(features.lengths)
    moving = lengths > 0
    if not np.isfinite(lengths).all() or moving.sum() < len(lengths) // 4:
        return FirstStep(np.inf, 1.0, USUAL_POWER, 1.0, 0.0, 0.0)
    steps = [
        _fit(sizes[moving], lengths[moving], features, start)
        for start in itertools.product(POWERS, ACCUMULATORS, RIDGES)
    ]
    return min(steps)


@np.errstate(all="ignore")
def _fit(
    sizes: np.ndarray, lengths: np.ndarray, features: Features, start: tuple[float, float, float]
) -> FirstStep:
    from scipy.optimize import least_squares  # an extra, and slow to import

    power, accumulator, ridge = start
    log_lengths = np.log(lengths)
    lr = features.longest * sizes[-1] ** (2 * power - 1)
    lr = max(TINY, float(lr) * (1 + ridge))
    dead = features.dead_zone
    edge = sizes[0] * (1 - 1e-12)  # l1 is below the first gradient that moves something

    def numbers(point: np.ndarray) -> tuple[np.ndarray, ...]:
        rate, p, start_of_n, l1, rest = point
        return np.exp(rate), p, np.exp(start_of_n), np.clip(l1 * (dead or 1.0), 0, edge), rest

    def residuals(point: np.ndarray) -> np.ndarray:
        rate, p, start_of_n, l1, rest = numbers(point)
        root = (start_of_n + sizes**2) ** p
        errors = np.log(sizes - l1) - np.log(root + np.exp(rest)) + np.log(rate) - log_lengths
        return np.where(np.isfinite(errors), errors, 10.0)

    point = np.array([np.log(lr), power, np.log(accumulator), 1.0 if dead else 0.0, np.log(ridge)])
    solution = least_squares(residuals, point, max_nfev=EVALUATIONS, x_scale="jac", xtol=None)
    rate, p, start_of_n, l1, rest = (float(number) for number in numbers(solution.x))
    error = float(np.sqrt(np.mean(solution.fun**2)))
    return FirstStep(error, rate, p, start_of_n, l1, float(np.exp(rest)) / rate)
