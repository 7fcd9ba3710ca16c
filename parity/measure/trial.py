"""The input of a run: where tensors start, which gradients come, and how the learning rate
changes.
"""

import dataclasses
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import record
from samestep.reference import Rule

from . import streams
from .dtypes import numpy_dtype

STEPS = 60
REFUSED_WITHIN = 2  # steps in which an optimizer shows that it refuses a shape
# the parts of a file: one array a tensor, "gradients/kernel"
PARTS = ("start", "gradients", "present")
SHAPES: dict[str, tuple[int, ...]] = {  # of designed tensors beside the vectors
    "vectors": (streams.SIZE,),
    "matrices": (9, 10),
    "4-d kernels": (2, 3, 4, 4),
    "0-d tensors": (),
}
WORDS = {  # of one tensor of the kind, in its name
    "vectors": "as a vector",
    "matrices": "as a matrix",
    "4-d kernels": "as a 4-d kernel",
    "0-d tensors": "as one number",
}


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
    transposed in memory, where a framework knows such a thing. ``left_out`` says of each kind of
    shape that was left out why it was, such as "vectors".

    Two trials are equal only if they are one object, so that limits can be kept for each.
    """

    start: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    rate_factors: np.ndarray
    sparse: dict[str, list[SparseGradient]] = dataclasses.field(default_factory=dict)
    transposed: bool = False
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)

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

    def only(self, names: Iterable[str]) -> "Trial":
        """The same trial of these tensors alone."""
        chosen = [name for name in self.start if name in set(names)]
        return self.replace(
            start={name: self.start[name] for name in chosen},
            gradients={name: self.gradients[name] for name in chosen},
            present={name: self.present[name] for name in chosen},
            sparse={name: self.sparse[name] for name in chosen if name in self.sparse},
        )

    def first(self, steps: int) -> "Trial":
        """The same trial, of its first steps alone."""
        return self.replace(
            gradients={name: array[:steps] for name, array in self.gradients.items()},
            present={name: array[:steps] for name, array in self.present.items()},
            sparse={name: rows[:steps] for name, rows in self.sparse.items()},
            rate_factors=self.rate_factors[:steps],
        )

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
    """The designed streams, one a tensor, and tensors of every shape that a rule may distinguish.

    The streams are vectors, or matrices if one of the rules needs them. The first stream comes as a
    vector, a matrix, a 4-d kernel and a tensor without dimensions. Shapes that one of the rules
    refuses are left out. The learning rate falls once.
    """
    stated = [rule for rule in rules if rule]
    matrices = [rule for rule in stated if isinstance(rule, streams.MATRICES)]
    trial = of_streams(tuple(streams.PATTERNS), steps, matrices[0] if matrices else None)
    for rule in stated:
        trial = accepted_by(rule, trial)
    return trial


def of_streams(chosen: Sequence[str], steps: int = STEPS, rule: Rule | None = None) -> Trial:
    """These streams, each as a tensor that suits the rule, and the first in every other shape."""
    start = {}
    gradients = {}
    for name in chosen:
        start[name] = streams.start()
        gradients[name] = streams.gradients(name, steps)
        if rule:
            start[name] = streams.suit(rule, start[name])
            gradients[name] = streams.suit(rule, gradients[name])
    for kind, shape in SHAPES.items():
        if kind == kind_of(next(iter(start.values())).shape):
            continue
        name = f"{chosen[0]}, {WORDS[kind]}"
        size = int(np.prod(shape))
        scales = streams.SCALES[:size] if shape else np.ones(1)
        start[name] = streams.start()[:size].reshape(shape)
        gradients[name] = streams.gradients(chosen[0], steps, scales).reshape(steps, *shape)
    return of_arrays(start, gradients, streams.rates(1.0, steps))


def designed_vectors(steps: int = STEPS) -> Trial:
    """The designed streams, each as a vector."""
    return of_arrays(
        {name: streams.start() for name in streams.PATTERNS},
        {name: streams.gradients(name, steps) for name in streams.PATTERNS},
        streams.rates(1.0, steps),
    )


def designed_for_unknown(
    steps: int = STEPS, chosen: Sequence[str] = tuple(streams.PATTERNS)
) -> Trial:
    """The designed streams for optimizers of unknown rules: one a tensor, and the first in every
    other shape, too.
    """
    return of_streams(chosen, steps)


def kind_of(shape: tuple[int, ...]) -> str:
    """What tensors of this shape are called."""
    names = {0: "0-d tensors", 1: "vectors", 2: "matrices", 4: "4-d kernels"}
    return names.get(len(shape), f"{len(shape)}-d tensors")


def by_kind(trial: Trial) -> dict[str, list[str]]:
    """The names of the trial's tensors, by the kind of their shape."""
    kinds: dict[str, list[str]] = {}
    for name, start in trial.start.items():
        kinds.setdefault(kind_of(start.shape), []).append(name)
    return kinds


def describe_shapes(trial: Trial) -> list[str]:
    """Which shapes the tensors have, and which were left out and why, line by line."""
    kinds = []
    for kind, names in by_kind(trial).items():
        shapes = dict.fromkeys(str(trial.start[name].shape) for name in names)
        kinds.append(f"{kind} {', '.join(shapes)}")
    lines = [f"of these shapes: {'; '.join(kinds)}"]
    reasons: dict[str, list[str]] = {}
    for kind, reason in trial.left_out.items():
        reasons.setdefault(reason, []).append(kind)
    for reason, left_out in reasons.items():
        lines.append(f"left out: {', '.join(left_out)} ({reason})")
    return lines


def without_kinds(trial: Trial, reasons: dict[str, str]) -> Trial:
    """The trial without these kinds of shapes, each with the reason why it is left out."""
    names = [name for name, start in trial.start.items() if kind_of(start.shape) not in reasons]
    return trial.only(names).replace(left_out={**trial.left_out, **reasons})


def accepted(
    trial: Trial, reason: str, failure: Exception, attempt: Callable[[Trial], object]
) -> Trial:
    """The trial without the shapes that an optimizer refuses, each with a reason.

    ``failure`` is what the whole trial raised; ``attempt`` runs a trial and returns what that
    raises, if anything. ``reason`` begins each reason. The failure is raised again if every kind of
    shape is refused, or if there is one kind alone.
    """
    kinds = by_kind(trial)
    reasons: dict[str, str] = {}
    for kind, names in kinds.items():
        outcome = attempt(trial.only(names).first(REFUSED_WITHIN))
        if isinstance(outcome, Exception):
            reasons[kind] = f"{reason}: {_first_line(outcome)}"
    fitting = [kind for kind in kinds if kind not in reasons]
    if not fitting or len(kinds) == 1:
        raise failure
    rest = without_kinds(trial, reasons)
    outcome = attempt(rest.first(REFUSED_WITHIN))
    if len(fitting) > 1 and isinstance(outcome, Exception):
        for kind in fitting[1:]:
            reasons[kind] = f"{reason} together with {fitting[0]}: {_first_line(outcome)}"
        rest = without_kinds(trial, reasons)
    return rest


def _first_line(failure: Exception) -> str:
    return (str(failure) or repr(failure)).splitlines()[0]


def accepted_by(rule: Rule, trial: Trial) -> Trial:
    """The trial without the shapes that the rule refuses."""
    reasons = {}
    for kind, names in by_kind(trial).items():
        try:
            rule.start(trial.start[names[0]], np)
        except ValueError as error:
            reasons[kind] = str(error).partition(", got")[0]  # the same for all kinds
    return without_kinds(trial, reasons) if reasons else trial


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
