"""Disturbances of one unit in the last place, by which the limit of an unknown formula is measured."""

from typing import NamedTuple

import numpy as np

DISTURBANCES = 4  # all numbers up, all down, and twice each up or down at random


class Disturbance:
    """Moves every number of an array by one unit in the last place: up (seed 0), down (seed 1), or at random."""

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
    """One run of an optimizer over a trial: in which dtype, and with which disturbance (its seed), if any."""

    dtype: str
    disturbance: int | None = None

    def disturb(self) -> Disturbance | None:
        """A new disturbance of this job, None if there is none."""
        return None if self.disturbance is None else Disturbance(self.disturbance, self.dtype)


def jobs(dtype: str) -> list[Job]:
    """The plain run, then the disturbed ones."""
    return [Job(dtype), *(Job(dtype, seed) for seed in range(DISTURBANCES))]
