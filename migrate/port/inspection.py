"""What a checkpoint holds, what its optimizer does in every dialect, and what looks lost."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samestep.reference import Rule, dialects

from . import files
from .files.saved import SavedOptimizer, SavedTensor
from .refused import one_line
from .run import NEVER_NEGATIVE

CHUNK = 2**20  # elements that are looked at together
DIALECTS = ("pytorch", "keras", "tf_keras", "tensorflow1", "optax", "onnx")
MISSING_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Figures:
    """An array in figures: shape, dtype, Euclidean norm of its finite elements, NaN, infinities."""

    shape: tuple[int, ...]
    dtype: str
    norm: float
    nan: int
    infinite: int
    negative: int

    @property
    def is_zero(self) -> bool:
        """True if every element is zero."""
        return not (self.norm or self.nan or self.infinite)

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape)) or "one number"
        text = f"{size} {self.dtype}, norm {self.norm:.6g}"
        text += f", {self.nan} NaN" if self.nan else ""
        return text + (f", {self.infinite} infinite" if self.infinite else "")


def figures(array: np.ndarray) -> Figures:
    """The figures of an array; it needs little memory of its own."""
    total, nan, infinite, negative = 0.0, 0, 0, 0
    for piece in _pieces(array):
        values = piece.astype(np.float64)
        finite = np.isfinite(values)
        nan += int(np.isnan(values).sum())
        infinite += int(np.isinf(values).sum())
        negative += int((values < 0).sum())
        total = math.hypot(total, float(np.linalg.norm(values[finite])))
    return Figures(array.shape, array.dtype.name, total, nan, infinite, negative)


def _pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The elements of an array, some at a time."""
    flat = array.reshape(-1)
    for place in range(0, flat.size, CHUNK):
        yield flat[place : place + CHUNK]


@dataclasses.dataclass(frozen=True)
class TensorView:
    """A parameter of an optimizer: its steps, its group, and the figures of its arrays."""

    label: str
    steps: int | None
    group: int
    state: Mapping[str, Figures]


@dataclasses.dataclass(frozen=True)
class GroupView:
    """A parameter group: its rule, the call in each dialect or why there is none, and settings."""

    rule: str
    calls: Mapping[str, str]
    settings: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class OptimizerView:
    """An optimizer of a checkpoint, and what looks lost in it."""

    native: str
    steps: int | None
    rate: float | None
    schedule: str
    groups: tuple[GroupView, ...]
    tensors: tuple[TensorView, ...]
    others: Mapping[str, Figures]
    remarks: tuple[str, ...]
    lost: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What is in a checkpoint. ``lost`` says what looks lost or damaged, a line each."""

    file: str
    format: str
    weights: Mapping[str, Figures]
    optimizers: tuple[OptimizerView, ...]
    remarks: tuple[str, ...]
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def inspect(path: Path, call: str = "") -> Inspection:
    """Look into a checkpoint without executing anything in it; Refused if that is impossible.

    ``call``, such as "keras:Adam()", names the optimizer for files that do not say it.
    """
    saved = files.read(path, call)
    weights = {name: figures(array) for name, array in saved.weights.items()}
    views = tuple(_optimizer(optimizer) for optimizer in saved.optimizers)
    lost = [*map(one_line, saved.lost), *_damaged(weights)]
    for view in views:
        lost += view.lost
    return Inspection(
        str(path), saved.format, weights, views, tuple(map(one_line, saved.remarks)), tuple(lost)
    )


def _damaged(arrays: Mapping[str, Figures]) -> list[str]:
    """A line for each array with NaN or infinity."""
    lines = []
    for name, value in arrays.items():
        if value.nan or value.infinite:
            lines.append(f"{one_line(name)}: {value.nan} NaN, {value.infinite} infinite")
    return lines


def _optimizer(saved: SavedOptimizer) -> OptimizerView:
    tensors = tuple(_tensor(tensor) for tensor in saved.tensors)
    groups = tuple(
        GroupView(
            rule=repr(group.rule) if group.rule else one_line(group.reason),
            calls=_calls(group.rule) if group.rule else {},
            settings={name: one_line(repr(value)) for name, value in group.settings.items()},
        )
        for group in saved.groups
    )
    others = {name: figures(array) for name, array in saved.others.items()}
    return OptimizerView(
        native=one_line(saved.native), steps=saved.taken, rate=saved.rate,
        schedule=one_line(saved.schedule), groups=groups, tensors=tensors, others=others,
        remarks=tuple(map(one_line, saved.remarks)),
        lost=tuple(_lost(saved, tensors)) + tuple(_damaged(others)),
    )  # fmt: skip


def _tensor(saved: SavedTensor) -> TensorView:
    state = {name: figures(array) for name, array in saved.state.items()}
    return TensorView(one_line(saved.label), saved.t, saved.group, state)


def _calls(rule: Rule) -> dict[str, str]:
    """The rule's call in each dialect; where there is none, the reason in one line."""
    calls = {}
    for name in DIALECTS:
        try:
            calls[name] = str(dialects.find(name).spell(rule))
        except dialects.Inexpressible as error:
            calls[name] = f"none: {error.why}"
    return calls


def _lost(saved: SavedOptimizer, tensors: tuple[TensorView, ...]) -> Iterator[str]:
    """What looks lost: a line each. All of it may be lawful, so it is no refusal."""
    with_state = [tensor for tensor in tensors if tensor.state]
    without = [tensor.label for tensor in tensors if not tensor.state]
    if with_state and without:
        listed = ", ".join(without[:MISSING_SHOWN])
        yield f"{len(without)} of {len(tensors)} parameters have no state: {listed}; never stepped?"
    if saved.taken and not tensors and not saved.others and _keeps_state(saved):
        yield f"{saved.taken} steps are counted, but no state was saved"
    if not saved.taken and saved.others and saved.groups:
        yield "the optimizer was saved before it was built, or lost its state"
    most = max((tensor.steps or 0 for tensor in tensors), default=0)
    for tensor in with_state:
        yield from _lost_of(saved, tensor, most)


def _keeps_state(saved: SavedOptimizer) -> bool:
    """True if the rule of a group keeps anything of a matrix."""
    rules = [group.rule for group in saved.groups if group.rule is not None]
    return any(rule.start(np.zeros((1, 1)), np) for rule in rules)


def _lost_of(saved: SavedOptimizer, tensor: TensorView, most: int) -> Iterator[str]:
    """What looks lost of one parameter."""
    yield from (f"{tensor.label} {line}" for line in _damaged(tensor.state))
    rule = saved.groups[tensor.group].rule if saved.groups else None
    moved = [name for name, value in tensor.state.items() if not value.is_zero]
    if tensor.steps and not moved:
        yield (
            f"{tensor.label}: {tensor.steps} steps are counted, but all its state is zero; lost, "
            "or all its gradients were zero"
        )
    starts_at_zero = rule is not None and _starts_at_zero(rule)
    if tensor.steps == 0 and moved and starts_at_zero:
        yield f"{tensor.label}: no step is counted, but {moved[0]} is not zero; the count was lost"
    if tensor.steps is not None and 0 < tensor.steps < most:
        yield (
            f"{tensor.label}: {tensor.steps} steps of {most}; its gradients came late or not "
            "always, or its count was lost"
        )
    for name in NEVER_NEGATIVE.get(type(rule).__name__, "") if rule else "":
        if name in tensor.state and tensor.state[name].negative:
            yield f"{tensor.label}: {name} must not be negative, {tensor.state[name].negative} are"


def _starts_at_zero(rule: Rule) -> bool:
    return not any(np.any(value) for value in rule.start(np.zeros((1, 1)), np).values())


def lines(inspection: Inspection) -> Iterator[str]:
    """The inspection as a person reads it."""
    yield f"{one_line(inspection.file)}: {inspection.format}"
    for view in inspection.optimizers:
        yield from _lines_of_optimizer(view)
    if inspection.weights:
        yield f"{len(inspection.weights)} weights and buffers"
    for name, value in inspection.weights.items():
        yield f"  {one_line(name)}: {value}"
    for remark in inspection.remarks:
        yield f"also: {remark}"
    for line in inspection.lost:
        yield f"looks lost: {line}"


def _lines_of_optimizer(view: OptimizerView) -> Iterator[str]:
    yield f"optimizer: {view.native}"
    if view.steps is not None:
        yield f"  steps taken: {view.steps}"
    if view.rate is not None or view.schedule:
        rate = "not in the file" if view.rate is None else repr(view.rate)
        yield f"  learning rate: {rate}" + (f" ({view.schedule})" if view.schedule else "")
    for place, group in enumerate(view.groups):
        title = "rule" if len(view.groups) == 1 else f"rule of group {place}"
        yield f"  {title}: {group.rule}"
        for name, call in group.calls.items():
            yield f"    {name}: {call}"
        settings = ", ".join(f"{name}={value}" for name, value in group.settings.items())
        yield f"    as saved: {settings}"
    for tensor in view.tensors:
        counted = "not counted" if tensor.steps is None else f"{tensor.steps} steps"
        yield f"  {tensor.label}: {counted}" + ("" if tensor.state else ", no state")
        for name, value in tensor.state.items():
            yield f"    {name}: {value}"
    for name, value in view.others.items():
        yield f"  array {name}: {value}"
    for remark in view.remarks:
        yield f"  note: {remark}"
