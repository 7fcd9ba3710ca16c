"""Run a rule over a trial in NumPy: the reference that every other trajectory is compared with."""

from collections.abc import Sequence

import numpy as np

from samestep.frameworks.numpy import Optimizer
from samestep.reference import Rule

from .bounded import BeforeStep, StepState
from .dtypes import numpy_dtype
from .trajectory import Trajectory, TrajectoryRecorder
from .trial import Trial


def run_rule(rule: Rule, trial: Trial, dtype: str, before: BeforeStep | None = None) -> Trajectory:
    """The rule's trajectory on the trial, computed in ``dtype``.

    ``before`` is a planted fault: it may replace what a step begins with. ValueError if the rule
    cannot take a step.
    """
    parameters = [array.astype(numpy_dtype(dtype)) for array in trial.start.values()]
    optimizer = Optimizer(parameters, rule)
    recorder = TrajectoryRecorder(trial, parameters)
    fault = _Fault(before, optimizer, parameters) if before else None
    for step in range(trial.steps):
        if fault:
            fault.begin_step()
        optimizer.lr = trial.rate_at(rule.lr, step)
        try:
            optimizer.step(trial.gradients_at(step, dtype))
        except ArithmeticError as error:
            raise ValueError(f"{rule!r} cannot take step {step + 1}: {error}") from error
        recorder.add(parameters, [_arrays(state) for state in optimizer.state])
    return recorder.trajectory()


def _arrays(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: np.asarray(value) for key, value in state.items()}


class _Fault:
    """Applies a planted fault to every tensor of an optimizer before each step."""

    def __init__(
        self, before: BeforeStep, optimizer: Optimizer, parameters: list[np.ndarray]
    ) -> None:
        self.before = before
        self.optimizer = optimizer
        self.parameters = parameters
        self.start_states = [dict(state) for state in optimizer.state]
        self.pasts: list[list[StepState]] = [[] for _ in parameters]

    def begin_step(self) -> None:
        """Replace parameters, state and count of steps by what the fault makes of them."""
        optimizer = self.optimizer
        for index, parameter in enumerate(self.parameters):
            past = self.pasts[index]
            past.append(
                StepState(parameter.copy(), dict(optimizer.state[index]), optimizer.t[index])
            )
            begin = self.before(past, self.start_states[index])
            parameter[...] = begin.theta
            optimizer.state[index] = begin.state
            optimizer.t[index] = begin.t


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
