"""Disturbances of one unit in the last place.

An optimizer whose formula is unknown is run with them, to measure how far rounding can move it.
"""

from typing import NamedTuple

import numpy as np

DISTURBANCES = 4  # all numbers up, all down, and twice each up or down at random


class Disturbance:
    """Moves every number of an array by one unit in the last place.

    Seed 0 moves all numbers up, seed 1 moves all down, and other seeds choose at random.
    """

    def __init__(self, seed: int, dtype: str) -> None:
        self.seed = seed
        self.unit = np.finfo(dtype).eps
        self.generator = np.random.Philox(key=seed)

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The disturbed array, in the same dtype."""
        draws = self.generator.random_raw(array.size).reshape(array.shape)
        up = {0: True, 1: False}.get(self.seed, draws & 1 > 0)
        return np.asarray(array * np.where(up, 1 + self.unit, 1 - self.unit), array.dtype)


class Job(NamedTuple):
    """One run of an optimizer over a trial: its dtype, and the seed of its disturbance, if any."""

    dtype: str
    disturbance: int | None = None

    def disturb(self) -> Disturbance | None:
        """A new disturbance for this job; None for the plain run."""
        return None if self.disturbance is None else Disturbance(self.disturbance, self.dtype)


def jobs(dtype: str) -> list[Job]:
    """The jobs of one optimizer: the plain run, then the disturbed ones."""
    return [Job(dtype), *(Job(dtype, seed) for seed in range(DISTURBANCES))]
