"""What a contestant did with its trial: where its tensors went, and what it kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samestep.frameworks.experiment import record

from .trial import Trial


class Trajectory(NamedTuple):
    """By tensor: where it stood before the first step (*shape) and after each (steps, *shape).

    ``states`` holds by tensor what was kept, under our names where they are known, (steps, *its shape); NaN before it
    exists.
    """

    begin: dict[str, np.ndarray]
    thetas: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]


class TrajectoryRecorder:
    """Takes down an trajectory, a step at a time; tensors come in the trial's order."""

    def __init__(self, trial: Trial, begin: Sequence[np.ndarray]) -> None:
        self.names = list(trial.start)
        self.begin = {name: np.array(array) for name, array in zip(self.names, begin, strict=True)}
        self.steps: list[tuple[list[np.ndarray], list[dict[str, np.ndarray]]]] = []

    def add(self, thetas: Sequence[np.ndarray], states: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Copies of the tensors and what is kept for each, after a step."""
        kept = [{name: np.array(array) for name, array in state.items()} for state in states]
        self.steps.append(([np.array(theta) for theta in thetas], kept))

    def trajectory(self) -> Trajectory:
        """All that was taken down."""
        thetas = {name: np.array([step[0][i] for step in self.steps]) for i, name in enumerate(self.names)}
        states = {name: self._kept([step[1][i] for step in self.steps]) for i, name in enumerate(self.names)}
        return Trajectory(self.begin, thetas, states)

    def _kept(self, states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        none = {name: np.full_like(array, np.nan) for name, array in states[-1].items() if array.dtype.kind == "f"}
        return {name: np.array([state.get(name, nan) for state in states]) for name, nan in none.items()}


def write(trajectory: Trajectory, path: Path) -> Path:
    """Write an trajectory as .npz; tensors go by number, since their names may be any text."""
    arrays: dict[str, np.ndarray] = {}
    for i, name in enumerate(trajectory.thetas):
        arrays |= {f"begin.{i}": trajectory.begin[name], f"theta.{i}": trajectory.thetas[name]}
        arrays |= {f"state.{i}.{kept}": array for kept, array in trajectory.states[name].items()}
    return record.write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read(path: Path, trial: Trial) -> Trajectory:
    """The trajectory at ``path`` of a contestant that was given ``trial``."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    states = {
        name: {key.split(".", 2)[2]: array for key, array in arrays.items() if key.startswith(f"state.{i}.")}
        for i, name in enumerate(trial.start)
    }
    begin, thetas = ({name: arrays[f"{part}.{i}"] for i, name in enumerate(trial.start)} for part in ("begin", "theta"))
    return Trajectory(begin, thetas, states)
