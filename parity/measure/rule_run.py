"""Run a rule over a trial in NumPy: the reference that every other trajectory is compared with."""

from collections.abc import Sequence

import numpy as np

from samestep.frameworks.numpy import Optimizer
from samestep.reference import Rule

from .dtypes import numpy_dtype
from .trajectory import Trajectory, TrajectoryRecorder
from .trial import Trial


def run_rule(rule: Rule, trial: Trial, dtype: str) -> Trajectory:
    """The rule's trajectory on the trial, computed in ``dtype``.

    ValueError if the rule cannot take a step.
    """
    parameters = [array.astype(numpy_dtype(dtype)) for array in trial.start.values()]
    optimizer = Optimizer(parameters, rule)
    recorder = TrajectoryRecorder(trial, parameters)
    for step in range(trial.steps):
        optimizer.lr = trial.rate_at(rule.lr, step)
        try:
            optimizer.step(trial.gradients_at(step, dtype))
        except ArithmeticError as error:
            raise ValueError(f"{rule!r} cannot take step {step + 1}: {error}") from error
        recorder.add(parameters, [_arrays(state) for state in optimizer.state])
    return recorder.trajectory()


def _arrays(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: np.asarray(value) for key, value in state.items()}


def run_tensor(
    rule: Rule,
    theta: np.ndarray,
    gradients: np.ndarray,
    dtype: str,
    rates: Sequence[float] | None = None,
) -> np.ndarray:
    """The rule's trajectory of one tensor, (steps, *theta.shape), at these learning rates, else at
    the rule's own.

    ArithmeticError if the rule cannot take a step.
    """
    parameter = theta.astype(dtype)
    optimizer = Optimizer([parameter], rule)
    thetas = []
    for gradient, lr in zip(gradients, rates or [rule.lr] * len(gradients), strict=True):
        optimizer.lr = lr
        optimizer.step([gradient.astype(dtype)])
        thetas.append(parameter.copy())
    return np.array(thetas)
