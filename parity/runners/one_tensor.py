"""Natives of libraries for which there is no adapter: each tensor of a trial is run by itself; state is not seen."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial


class OneTensor(NamedTuple):
    """One tensor of a trial: its start (*shape), its gradients (steps, *shape), and the learning rates (steps)."""

    start: np.ndarray
    gradients: np.ndarray
    rates: list[float]

    @property
    def steps(self) -> Sequence[tuple[np.ndarray, float]]:
        """The gradient and the learning rate of each step."""
        return list(zip(self.gradients, self.rates, strict=True))


def run_each(lr: float, trial: Trial, dtype: str, run: Callable[[OneTensor], np.ndarray]) -> Trajectory:
    """The trajectory of a native whose learning rate is ``lr``; ``run`` gives that of one tensor, (steps, *shape).

    ValueError if a tensor has no gradient at some step: these libraries cannot leave a tensor out.
    """
    rates = trial.rates(lr)
    thetas = {}
    for name, start in trial.start.items():
        if not trial.present[name].all():
            raise ValueError(f"tensor {name} must have a gradient at every step: this library cannot leave it out")
        thetas[name] = run(OneTensor(start, trial.gradients[name], rates))
    begin = {name: start.astype(dtype) for name, start in trial.start.items()}
    return Trajectory(begin, thetas, {name: {} for name in thetas})
