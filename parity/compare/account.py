"""What a contestant did with its feed: where its tensors went, and what it kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samestep.frameworks.experiment import record

from .feed import Feed


class Account(NamedTuple):
    """By tensor: where it stood before the first step (*shape) and after each (steps, *shape).

    ``states`` holds by tensor what was kept, under our names where they are known, (steps, *its shape); NaN before it
    exists.
    """

    begin: dict[str, np.ndarray]
    thetas: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]


class Journal:
    """Takes down an account, a step at a time; tensors come in the feed's order."""

    def __init__(self, feed: Feed, begin: Sequence[np.ndarray]) -> None:
        self.names = list(feed.start)
        self.begin = {name: np.array(array) for name, array in zip(self.names, begin, strict=True)}
        self.steps: list[tuple[list[np.ndarray], list[dict[str, np.ndarray]]]] = []

    def add(self, thetas: Sequence[np.ndarray], states: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Copies of the tensors and what is kept for each, after a step."""
        kept = [{name: np.array(array) for name, array in state.items()} for state in states]
        self.steps.append(([np.array(theta) for theta in thetas], kept))

    def account(self) -> Account:
        """All that was taken down."""
        thetas = {name: np.array([step[0][i] for step in self.steps]) for i, name in enumerate(self.names)}
        states = {name: self._kept([step[1][i] for step in self.steps]) for i, name in enumerate(self.names)}
        return Account(self.begin, thetas, states)

    def _kept(self, states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        none = {name: np.full_like(array, np.nan) for name, array in states[-1].items() if array.dtype.kind == "f"}
        return {name: np.array([state.get(name, nan) for state in states]) for name, nan in none.items()}


def write(account: Account, path: Path) -> Path:
    """Write an account as .npz; tensors go by number, since their names may be any text."""
    arrays: dict[str, np.ndarray] = {}
    for i, name in enumerate(account.thetas):
        arrays |= {f"begin.{i}": account.begin[name], f"theta.{i}": account.thetas[name]}
        arrays |= {f"state.{i}.{kept}": array for kept, array in account.states[name].items()}
    return record.write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def read(path: Path, feed: Feed) -> Account:
    """The account at ``path`` of a contestant that was given ``feed``."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    states = {
        name: {key.split(".", 2)[2]: array for key, array in arrays.items() if key.startswith(f"state.{i}.")}
        for i, name in enumerate(feed.start)
    }
    begin, thetas = ({name: arrays[f"{part}.{i}"] for i, name in enumerate(feed.start)} for part in ("begin", "theta"))
    return Account(begin, thetas, states)
