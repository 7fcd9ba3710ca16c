"""A record: one training run on disk. JSON for what a person reads, NPZ beside it for the weights at the marks."""

import dataclasses
import json
import os
import platform
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

FORMAT = 1
PACKAGES = {"numpy": ("numpy",), "pytorch": ("torch", "numpy"), "tensorflow": ("tensorflow", "keras", "numpy")}


@dataclasses.dataclass
class Record:
    """``header``: who ran what, where. ``losses``: one a step, before the step.

    ``marks``: at some steps the SHA-256 of all weights, and the length of the path so far (Euclidean, float64).
    ``epochs``: number, accuracy on the test set, digest and seconds of each. ``order_dependent``: how many elements of
    the checked steps depend on the order of a sum or on the last bit of ``exp`` (NumPy in lockstep; else None).
    """

    header: dict[str, Any]
    losses: list[float] = dataclasses.field(default_factory=list)
    marks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    epochs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    order_dependent: int | None = None

    @property
    def digests(self) -> list[str]:
        """The digest at the end of each epoch."""
        return [epoch["digest"] for epoch in self.epochs]


def versions(framework: str) -> dict[str, str]:
    """The versions a run's result may depend on."""
    found = {package: metadata.version(package) for package in PACKAGES[framework]}
    return {"python": platform.python_version(), **found}


def machine() -> dict[str, Any]:
    """The machine as far as a result may depend on it."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()}


def write(record: Record, weights: dict[int, np.ndarray], folder: Path, name: str) -> Path:
    """Write ``name``.json and ``name``.npz (step -> all weights, flat) whole or not at all; the path of the former."""
    body = json.dumps({"format": FORMAT, **dataclasses.asdict(record)}, indent=1)
    arrays = {str(step): array for step, array in weights.items()}
    write_whole(folder / f"{name}.npz", lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    return write_whole(folder / f"{name}.json", lambda file: file.write(body.encode()))


def write_whole(path: Path, fill: Callable[[BinaryIO], Any]) -> Path:
    """Let ``fill`` write to a temporary file beside ``path``, then rename it there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read(path: Path) -> Record:
    """Read a record; ValueError if it is none, or of another format."""
    try:
        body = json.loads(path.read_text())
        if body.pop("format") != FORMAT:
            raise ValueError("another format")
        return Record(**body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} must be a record of format {FORMAT}: {error!r}; run it again") from error


def read_weights(path: Path) -> dict[int, np.ndarray]:
    """The weights at the marks of the record at ``path``, flat, by step."""
    with open(path.with_suffix(".npz"), "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {int(step): arrays[step] for step in arrays.files}
