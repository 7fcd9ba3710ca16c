"""The input of a run: where tensors start, which gradients come, and how the learning rate
changes.
"""

import dataclasses
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import record
from samestep.reference import Rule

from . import streams
from .dtypes import numpy_dtype

STEPS = 60
# the parts of a file: one array a tensor, "gradients/kernel"
PARTS = ("start", "gradients", "present")


class SparseGradient(NamedTuple):
    """Some rows of a gradient: ``values`` (len(rows), *columns).

    A row that is named twice counts twice.
    """

    rows: tuple[int, ...]
    values: np.ndarray

    def dense(self, shape: tuple[int, ...]) -> np.ndarray:
        """The whole gradient (*shape), duplicates summed in the dtype of ``values``."""
        whole = np.zeros(shape, self.values.dtype)
        np.add.at(whole, list(self.rows), self.values)
        return whole


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """The input of a run. By tensor: its start (*shape), its gradients (steps, *shape), and at
    which steps it has one.

    Arrays are float64. ``rate_factors`` (steps,) multiply the optimizer's own learning rate.
    Tensors in ``sparse`` are given their gradients as rows, one ``SparseGradient`` a step;
    ``gradients`` holds the same numbers. With ``transposed`` tensors of two dimensions lie
    transposed in memory, where a framework knows such a thing.

    Two trials are equal only if they are one object, so that limits can be kept for each.
    """

    start: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    rate_factors: np.ndarray
    sparse: dict[str, list[SparseGradient]] = dataclasses.field(default_factory=dict)
    transposed: bool = False

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.rate_factors)

    def gradients_at(self, step: int, dtype: str) -> list[np.ndarray | None]:
        """The gradients of a step (counted from 0), in the order of the tensors; None where a
        tensor has none.
        """
        wanted = numpy_dtype(dtype)
        return [
            gradients[step].astype(wanted) if self.present[name][step] else None
            for name, gradients in self.gradients.items()
        ]

    def rate_at(self, lr: float, step: int) -> float:
        """The learning rate of a step (counted from 0), where the optimizer's own is ``lr``.

        It is a number that float32 holds, since Keras keeps learning rates in float32.
        """
        return float(np.float32(lr * self.rate_factors[step]))

    def rates(self, lr: float) -> list[float]:
        """The learning rates of all steps, where the optimizer's own is ``lr``."""
        return [self.rate_at(lr, step) for step in range(self.steps)]

    def replace(self, **changes: Any) -> "Trial":
        """The same trial with some fields changed."""
        return dataclasses.replace(self, **changes)


def of_arrays(
    start: dict[str, np.ndarray],
    gradients: dict[str, np.ndarray],
    rate_factors: Sequence[float] | np.ndarray,
) -> Trial:
    """A trial in which every tensor has a gradient at every step."""
    factors = np.asarray(rate_factors, np.float64)
    present = {name: np.ones(len(factors), bool) for name in start}
    return Trial(start, gradients, present, factors)


def designed(rules: Iterable[Rule | None], steps: int = STEPS) -> Trial:
    """The designed streams, one a tensor; matrices if one of the rules needs them.

    The learning rate falls once.
    """
    needs_matrices = [rule for rule in rules if isinstance(rule, streams.MATRICES)]

    def suit(flat: np.ndarray) -> np.ndarray:
        return streams.suit(needs_matrices[0], flat) if needs_matrices else flat

    return of_arrays(
        {name: suit(streams.start()) for name in streams.PATTERNS},
        {name: suit(streams.gradients(name, steps)) for name in streams.PATTERNS},
        streams.rates(1.0, steps),
    )


def designed_for_unknown(
    steps: int = STEPS, chosen: Sequence[str] = tuple(streams.PATTERNS)
) -> Trial:
    """The designed streams for optimizers of unknown rules: one a tensor, and the first also as a
    matrix.
    """
    start = {name: streams.start() for name in chosen}
    gradients = {name: streams.gradients(name, steps) for name in chosen}
    matrix = (8, streams.SIZE // 8)
    size = matrix[0] * matrix[1]
    name = f"{chosen[0]}, as a matrix"
    start[name] = start[chosen[0]][:size].reshape(matrix)
    gradients[name] = gradients[chosen[0]][:, :size].reshape(steps, *matrix)
    return of_arrays(start, gradients, streams.rates(1.0, steps))


def write(trial: Trial, path: Path) -> Path:
    """Write a trial as .npz, whole or not at all.

    The file calls the rate factors ``shares``, as it always has.
    """
    arrays = {}
    for part in PARTS:
        for name, array in getattr(trial, part).items():
            arrays[f"{part}/{name}"] = array
    return record.write_whole(
        path, lambda file: np.savez(file, shares=trial.rate_factors, **arrays)
    )


def read(path: Path) -> Trial:
    """Read a file of gradients (.npz): ``gradients/NAME`` (steps, *shape) for each tensor.

    Optional: ``start/NAME`` (else small numbers), ``present/NAME`` (else every step has a
    gradient), and ``shares``, the factors on the learning rate (else 1). ValueError says what is
    wrong with the file.
    """
    arrays = _load(path)
    start, gradients, present = (_under(part, arrays) for part in PARTS)
    if not gradients:
        raise ValueError(
            f"{path} must hold gradients/NAME (steps, *shape) for each tensor, got {list(arrays)}"
        )
    steps = len(next(iter(gradients.values())))
    factors = arrays.get("shares", np.ones(steps)).astype(np.float64)
    for name, array in gradients.items():
        if array.dtype.kind != "f" or not array.size or len(array) != len(factors):
            description = f"{array.dtype} {array.shape}"
            raise ValueError(
                f"{path}: gradients/{name} must be real, ({len(factors)}, *shape), not "
                f"empty, got {description}"
            )
        start.setdefault(name, streams.start(array[0].size).reshape(array[0].shape))
        present.setdefault(name, np.ones(steps, bool))
        _check_shape(f"{path}: start/{name}", start[name], array[0].shape)
        _check_shape(f"{path}: present/{name}", present[name], (steps,))
    return Trial(
        {name: start[name].astype(np.float64) for name in gradients},
        {name: array.astype(np.float64) for name, array in gradients.items()},
        {name: present[name].astype(bool) for name in gradients},
        factors,
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be an .npz file of gradients: {error}; write it with numpy.savez"
        ) from error


def _check_shape(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{what} must have the shape {shape}, got {array.shape}")


def _under(part: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays below ``part/``, by tensor."""
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
