"""The output of a run: where each step took the tensors, and what the optimizer kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samestep.frameworks.experiment import record

from .trial import Trial


class Trajectory(NamedTuple):
    """By tensor: its value before the first step (*shape), and after each step (steps, *shape).

    ``states`` holds by tensor the optimizer's state after each step, (steps, *its shape), under our
    names where they are known. A state is NaN before it exists.
    """

    begin: dict[str, np.ndarray]
    thetas: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]


class TrajectoryRecorder:
    """Builds a trajectory step by step.

    Tensors come in the trial's order; all arrays are copied.
    """

    def __init__(self, trial: Trial, begin: Sequence[np.ndarray]) -> None:
        self.names = list(trial.start)
        self.begin = {name: np.array(array) for name, array in zip(self.names, begin, strict=True)}
        self.thetas: list[list[np.ndarray]] = []
        self.states: list[list[dict[str, np.ndarray]]] = []

    def add(self, thetas: Sequence[np.ndarray], states: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Record the tensors and the state of each after a step."""
        self.thetas.append([np.array(theta) for theta in thetas])
        self.states.append(
            [{key: np.array(array) for key, array in state.items()} for state in states]
        )

    def trajectory(self) -> Trajectory:
        """All recorded steps."""
        thetas = {}
        states = {}
        for index, name in enumerate(self.names):
            thetas[name] = np.array([step[index] for step in self.thetas])
            states[name] = _stacked([step[index] for step in self.states])
        return Trajectory(self.begin, thetas, states)


def _stacked(states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The real arrays of a state, each with its steps in one array; NaN before it exists."""
    stacked = {}
    for key, last in states[-1].items():
        if last.dtype.kind == "f" or last.dtype.name == "bfloat16":
            missing = np.full_like(last, np.nan)
            stacked[key] = np.array([state.get(key, missing) for state in states])
    return stacked


def write(trajectory: Trajectory, path: Path) -> Path:
    """Write a trajectory as .npz.

    Tensors are numbered in the file, since their names may be any text.
    """
    arrays: dict[str, np.ndarray] = {}
    for index, name in enumerate(trajectory.thetas):
        arrays[f"begin.{index}"] = trajectory.begin[name]
        arrays[f"theta.{index}"] = trajectory.thetas[name]
        for key, array in trajectory.states[name].items():
            arrays[f"state.{index}.{key}"] = array
    return record.write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read(path: Path, trial: Trial) -> Trajectory:
    """Read the trajectory of a run on ``trial``."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    begin = {}
    thetas = {}
    states = {}
    for index, name in enumerate(trial.start):
        begin[name] = arrays[f"begin.{index}"]
        thetas[name] = arrays[f"theta.{index}"]
        prefix = f"state.{index}."
        states[name] = {
            key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)
        }
    return Trajectory(begin, thetas, states)
