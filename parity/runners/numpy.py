"""A rule in NumPy: the reference that stands for a dialect's call, and that suspicions are tried on."""

import numpy as np

import samestep.frameworks.numpy
from samestep.parity.measure.limits import Before, Standing
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import Trial
from samestep.reference import Rule


def run(rule: Rule, trial: Trial, dtype: str, before: Before | None = None) -> Trajectory:
    """Where the rule goes in ``dtype``; ``before`` may replace what stands before a step.

    ValueError if it cannot take a step.
    """
    parameters = [array.astype(dtype) for array in trial.start.values()]
    optimizer = samestep.frameworks.numpy.Optimizer(parameters, rule)
    recorder = TrajectoryRecorder(trial, parameters)
    starts, pasts = [dict(state) for state in optimizer.state], [[] for _ in parameters]  # type: ignore[var-annotated]
    for step in range(trial.steps):
        if before:
            for i, (parameter, past) in enumerate(zip(parameters, pasts, strict=True)):
                past.append(Standing(parameter.copy(), dict(optimizer.state[i]), optimizer.t[i]))
                parameter[...], optimizer.state[i], optimizer.t[i] = before(past, starts[i])
        optimizer.lr = trial.rate(rule.lr, step)
        try:
            optimizer.step(trial.at(step, dtype))
        except ArithmeticError as error:
            raise ValueError(f"{rule!r} cannot take step {step + 1}: {error}") from error
        recorder.add(parameters, [{k: np.asarray(v) for k, v in state.items()} for state in optimizer.state])
    return recorder.trajectory()
