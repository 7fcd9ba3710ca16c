"""Run natives one tensor at a time, for libraries without an adapter; their state is not read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial


class OneTensor(NamedTuple):
    """One tensor of a trial.

    ``start`` is (*shape), ``gradients`` are (steps, *shape), and ``rates`` are the learning rates
    of all steps.
    """

    start: np.ndarray
    gradients: np.ndarray
    rates: list[float]

    @property
    def steps(self) -> Sequence[tuple[np.ndarray, float]]:
        """The gradient and the learning rate of each step."""
        return list(zip(self.gradients, self.rates, strict=True))


def run_each(
    lr: float, trial: Trial, dtype: str, run: Callable[[OneTensor], np.ndarray]
) -> Trajectory:
    """The trajectory of a native whose learning rate is ``lr``.

    ``run`` returns the values of one tensor after each step, (steps, *shape). ValueError if a
    tensor has no gradient at some step, because these libraries cannot leave a tensor out.
    """
    rates = trial.rates(lr)
    thetas = {}
    for name, start in trial.start.items():
        if not trial.present[name].all():
            raise ValueError(
                f"tensor {name} must have a gradient at every step: "
                "this library cannot leave it out"
            )
        thetas[name] = run(OneTensor(start, trial.gradients[name], rates))
    begin = {name: start.astype(dtype) for name, start in trial.start.items()}
    return Trajectory(begin, thetas, {name: {} for name in thetas})
