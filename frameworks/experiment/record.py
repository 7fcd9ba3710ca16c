"""A record: one training run on disk.

A JSON file holds what a person reads. An NPZ file beside it holds the weights at the marks.
"""

import dataclasses
import io
import json
import os
import platform
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

FORMAT = 1
PACKAGES = {
    "numpy": ("numpy",),
    "pytorch": ("torch", "numpy"),
    "tensorflow": ("tensorflow", "keras", "numpy"),
}


@dataclasses.dataclass
class Record:
    """The result of one training run.

    ``header`` tells who ran what, where. ``losses`` has the loss before each step. ``marks`` has
    for some steps the SHA-256 of all weights and the length of the path so far (Euclidean,
    float64). ``epochs`` has number, accuracy on the test set, digest and seconds of each epoch.
    ``order_dependent`` counts the elements of the checked steps that depend on the order of a sum
    or on the last bit of ``exp``; it is None except for NumPy in lockstep.
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


class Packed(NamedTuple):
    """A record as the bytes of its two files, to be sent from one machine to another."""

    body: bytes
    weights: bytes


def versions(framework: str) -> dict[str, str]:
    """The versions that a run's result may depend on."""
    installed = {package: metadata.version(package) for package in PACKAGES[framework]}
    return {"python": platform.python_version(), **installed}


def machine() -> dict[str, Any]:
    """The machine, as far as a result may depend on it."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


def pack(record: Record, weights: dict[int, np.ndarray]) -> Packed:
    """The bytes of a record's files; ``weights`` maps a step to all weights, flat."""
    body = json.dumps({"format": FORMAT, **dataclasses.asdict(record)}, indent=1)
    arrays = {str(step): array for step, array in weights.items()}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return Packed(body.encode(), file.getvalue())


def save(packed: Packed, folder: Path, name: str) -> Path:
    """Write ``name``.npz, then ``name``.json, each whole or not at all; the path of the latter."""
    write_whole(folder / f"{name}.npz", lambda file: file.write(packed.weights))
    return write_whole(folder / f"{name}.json", lambda file: file.write(packed.body))


def write(record: Record, weights: dict[int, np.ndarray], folder: Path, name: str) -> Path:
    """Write a record to ``folder`` as ``save`` does; the path of its JSON file."""
    return save(pack(record, weights), folder, name)


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
    """Read a record; ValueError if the file is no record, or one of another format."""
    try:
        body = json.loads(path.read_text())
        if body.pop("format") != FORMAT:
            raise ValueError("another format")
        return Record(**body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} must be a record of format {FORMAT}: {error!r}; run it again"
        ) from error


def read_packed(path: Path) -> Packed:
    """The bytes of both files of the record at ``path``, a JSON file."""
    return Packed(path.read_bytes(), path.with_suffix(".npz").read_bytes())


def read_weights(path: Path) -> dict[int, np.ndarray]:
    """The weights at the marks of the record at ``path``, flat, by step."""
    with (
        open(path.with_suffix(".npz"), "rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return {int(step): arrays[step] for step in arrays.files}
