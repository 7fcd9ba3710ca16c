"""A training run that a report asked for, with the record that it left."""

import dataclasses
import shlex
import zipfile
from pathlib import Path

import numpy as np

from samestep.frameworks.experiment import facts, record
from samestep.frameworks.experiment.run import Run

from .request import RunEnding


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run and its record.

    Without a record, ``path`` and ``record`` are None and ``error`` says why.

    ``command`` makes the record again.
    """

    run: Run
    path: Path | None
    record: record.Record | None
    error: str | None
    command: str

    @property
    def digests(self) -> dict[int, str]:
        """The digest at each mark, by step."""
        return {mark["step"]: mark["digest"] for mark in self.record.marks} if self.record else {}

    @property
    def paths(self) -> dict[int, float]:
        """The length of the path travelled at each mark, by step."""
        return {mark["step"]: mark["path"] for mark in self.record.marks} if self.record else {}

    @property
    def accuracy(self) -> list[float] | None:
        """The share of test images recognised after each epoch; None without a record."""
        return [epoch["accuracy"] for epoch in self.record.epochs] if self.record else None

    @property
    def losses(self) -> list[float]:
        """The loss before each step; empty without a record."""
        return self.record.losses if self.record else []

    def weights(self) -> dict[int, np.ndarray]:
        """Read all weights at each mark, flat, by step.

        They are not kept, since all runs together are large.
        """
        return record.read_weights(self.path) if self.path else {}

    def is_genuine(self) -> bool:
        """Return True if every digest of the record is that of the weights beside it."""
        epochs = (
            {epoch["steps"]: epoch["digest"] for epoch in self.record.epochs} if self.record else {}
        )
        digests = {step: facts.digest([array]) for step, array in self.weights().items()}
        return self.digests == digests and epochs.items() <= digests.items()


def read(ending: RunEnding, folder: Path) -> TrainedRun:
    """Read the record of a run from the report's folder.

    A record that cannot be read counts as missing.
    """
    command = reproduction_command(ending.run, folder / "records")
    if ending.record is None:
        return TrainedRun(ending.run, None, None, ending.error, command)
    path = folder / ending.record
    try:
        loaded = record.read(path)
        if not zipfile.is_zipfile(path.with_suffix(".npz")):
            raise ValueError(f"{path.with_suffix('.npz')} must be a whole NPZ file; run it again")
        record.read_weights(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        return TrainedRun(ending.run, None, None, str(error), command)
    return TrainedRun(ending.run, path, loaded, ending.error, command)


def reproduction_command(run: Run, out: Path) -> str:
    """Return the command that makes the record of a run again."""
    return shlex.join(["python", *run.arguments(out)])
