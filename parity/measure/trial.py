"""What both contestants are given: where tensors start, the gradients that come, at which shares of their rates."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from samestep.frameworks.experiment import record
from samestep.reference import Rule

from . import streams

STEPS = 60
PARTS = ("start", "gradients", "present")  # of a trial's file: one array a tensor, "gradients/kernel"


class Trial(NamedTuple):
    """By tensor: where it starts (*shape), what comes (steps, *shape), and at which steps anything comes (steps,).

    ``shares`` (steps,) multiply each contestant's own learning rate.
    """

    start: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    rate_factors: np.ndarray

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.rate_factors)

    def at(self, step: int, dtype: str) -> list[np.ndarray | None]:
        """The gradients of a step, from 0, in the order of the tensors; None where none comes."""
        return [
            gradients[step].astype(dtype) if self.present[name][step] else None
            for name, gradients in self.gradients.items()
        ]

    def rate(self, lr: float, step: int) -> float:
        """The learning rate of a step, from 0, of one whose own is ``lr``: a number that float32 holds, since Keras
        keeps its rates so."""
        return float(np.float32(lr * self.rate_factors[step]))


def designed(rules: Iterable[Rule | None], steps: int = STEPS) -> Trial:
    """The designed streams, a tensor each; matrices if one of the rules needs them. The rate falls once."""
    kind = next((rule for rule in rules if isinstance(rule, streams.MATRICES)), None)

    def suit(flat: np.ndarray) -> np.ndarray:
        return streams.suit(kind, flat) if kind else flat

    return Trial(
        {name: suit(streams.start()) for name in streams.PATTERNS},
        {name: suit(streams.gradients(name, steps)) for name in streams.PATTERNS},
        {name: np.ones(steps, bool) for name in streams.PATTERNS},
        np.array(streams.rates(1.0, steps)),
    )


def write(trial: Trial, path: Path) -> Path:
    """Write a trial as .npz, whole or not at all."""
    arrays = {f"{part}/{name}": array for part in PARTS for name, array in getattr(trial, part).items()}
    return record.write_whole(path, lambda file: np.savez(file, shares=trial.rate_factors, **arrays))


def read(path: Path) -> Trial:
    """A file of gradients: ``gradients/NAME`` (steps, *shape) a tensor.

    What may be left out: ``start/NAME`` (else small numbers), ``present/NAME`` (else every step has a gradient),
    ``shares`` of the learning rate (else it stays). ValueError says what is wrong.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} must be an .npz file of gradients: {error}; write it with numpy.savez") from error
    found = {part: _under(part, arrays) for part in PARTS}
    if not found["gradients"]:
        raise ValueError(f"{path} must hold gradients/NAME (steps, *shape) for each tensor, got {list(arrays)}")
    steps = len(next(iter(found["gradients"].values())))
    shares = arrays.get("shares", np.ones(steps)).astype(np.float64)
    for name, array in found["gradients"].items():
        if array.dtype.kind != "f" or not array.size or len(array) != len(shares):
            told = f"{array.dtype} {array.shape}"
            raise ValueError(f"{path}: gradients/{name} must be real, ({len(shares)}, *shape), not empty, got {told}")
        found["start"].setdefault(name, streams.start(array[0].size).reshape(array[0].shape))
        found["present"].setdefault(name, np.ones(steps, bool))
        for part, shape in (("start", array[0].shape), ("present", (steps,))):
            if found[part][name].shape != shape:
                raise ValueError(f"{path}: {part}/{name} must have the shape {shape}, got {found[part][name].shape}")
    wide = {name: array.astype(np.float64) for name, array in found["gradients"].items()}
    start = {name: found["start"][name].astype(np.float64) for name in wide}
    return Trial(start, wide, {name: found["present"][name].astype(bool) for name in wide}, shares)


def _under(part: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{part}/"): array for name, array in arrays.items() if name.startswith(f"{part}/")}
