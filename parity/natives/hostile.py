"""Hostile gradients: what each rule makes of them, and whether our adapters and the natives make the same.

``samestep hostile --out hostile.json`` measures every rule on every one. Ours must have the bits of the reference; what
a native does otherwise, or refuses, is reported and not judged.
"""

import dataclasses
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import samestep.frameworks.numpy
from samestep.frameworks.experiment import record
from samestep.parity.measure import cases, limits, streams
from samestep.parity.measure import verdict as verdicts
from samestep.reference import Rule, dialects

from . import deviations
from . import hostile_runs as meetings

STEPS, SIZE = 5, 8
EQUAL, FLUSHED, DIFFERS = "equal bits", "flushes subnormals", "differs"
WITHIN, RECORDED, NO_LIMIT, REFUSES = "the same", "deviates as recorded", "no limit", "refuses"
HOLDS = (EQUAL, FLUSHED)  # what ours may do
KINDS = {"pytorch": "for-loop", "keras": "eager"}  # how a native is run


class Sparse(NamedTuple):
    """Some rows of a matrix; a row that is named twice counts twice."""

    rows: tuple[int, ...]
    values: np.ndarray

    def dense(self, shape: tuple[int, ...]) -> np.ndarray:
        """All rows, duplicates summed."""
        found = np.zeros(shape, self.values.dtype)
        np.add.at(found, list(self.rows), self.values)
        return found


Gradient = np.ndarray | Sparse | None


class Case(NamedTuple):
    """One tensor's way through hostile gradients, in float64 until they are cast to ``dtype``."""

    start: np.ndarray
    gradients: list[Gradient]
    dtype: str = "float32"
    contiguous: bool = True

    def cast(self, gradient: Gradient) -> Gradient:
        """A gradient in the case's dtype."""
        if isinstance(gradient, Sparse):
            return gradient._replace(values=gradient.values.astype(meetings.numpy_dtype(self.dtype)))
        return gradient if gradient is None else gradient.astype(meetings.numpy_dtype(self.dtype))

    def dense(self, gradient: Gradient) -> np.ndarray | None:
        """As the reference sees it."""
        cast = self.cast(gradient)
        return cast.dense(self.start.shape) if isinstance(cast, Sparse) else cast


def _changed(gradients: np.ndarray, step: int, **elements: float) -> list[Gradient]:
    """A copy with some elements of one step replaced."""
    copy = gradients.copy()
    for name, value in elements.items():
        copy[step, int(name.removeprefix("at"))] = value
    return list(copy)


def _cases() -> dict[str, Case]:
    start, g = streams.start(SIZE), streams.gradients("spread", STEPS, np.logspace(-3, 0, SIZE))
    nothing, signs, fading = np.zeros(SIZE), np.where(np.arange(SIZE) % 2, 1.0, -1.0), np.logspace(0, -12, STEPS)
    matrix = start.reshape(4, 2)
    rows = [Sparse((2, 0, 2), each[:6].reshape(3, 2)) for each in g]
    return {
        "zero": Case(start, [nothing, nothing, g[2], nothing, nothing]),
        "no gradient": Case(start, [g[0], None, None, g[3], g[4]]),
        "not a number": Case(start, _changed(g, 1, at3=np.nan)),
        "infinite": Case(start, _changed(g, 1, at2=np.inf, at5=-np.inf)),
        "subnormal": Case(start, [g[0], *[1e-40 * signs] * (STEPS - 1)]),
        "the largest finite": Case(start, [g[0], *[float(np.finfo(np.float32).max) * signs] * (STEPS - 1)]),
        "alternating signs": Case(start, [np.abs(g[0]) * (-1) ** t for t in range(STEPS)]),
        "one huge element": Case(start, _changed(g, 1, at4=1e30)),
        "shrinking by 12 orders": Case(start, list(g * fading[:, None])),
        "growing by 12 orders": Case(start, list(g * fading[::-1, None])),
        "no dimension": Case(np.asarray(start[0]), [np.asarray(each[0]) for each in g]),
        "empty": Case(start[:0], [each[:0] for each in g]),
        "not contiguous": Case(matrix, [each.reshape(4, 2) for each in g], contiguous=False),
        "float16": Case(start, list(g), "float16"),
        "bfloat16": Case(start, list(g), "bfloat16"),
        "sparse with duplicates": Case(matrix, list(rows)),
    }


CASES = _cases()


@dataclasses.dataclass(frozen=True)
class Row:
    """One call on one case. ``reference`` says what became of the elements; ``ours``, framework by framework, is "equal
    bits" or "flushes subnormals" where it holds. ``native`` is "the same" within the limit; "deviates as recorded"
    where a cause in ``samestep.parity.natives.deviations`` explains it; "differs"; "no limit" where rounding may do anything; or
    "refuses".
    """

    case: str
    call: str
    rule: str
    reference: str
    ours: dict[str, str]
    native: str
    told: str

    @property
    def holds(self) -> bool:
        """Whether ours do as the reference does."""
        return all(word in HOLDS for word in self.ours.values())

    def __str__(self) -> str:
        ours = "; ".join(f"{framework} {result}" for framework, result in self.ours.items())
        return f"{self.call} {self.case}: {self.reference}; ours: {ours}; native {self.native} {self.told}".rstrip()


def measure(name: str, call: str) -> Row:
    """What becomes of one call on one case, in the reference, in our adapters and in the native."""
    case, rule = CASES[name], dialects.read(call)
    expected = reference(rule, case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that gradients are missing, made dense, or no numbers
        went = {framework: meetings.ours(framework, rule, case) for framework in meetings.FRAMEWORKS}
        ours = {framework: _ours(rule, case, expected, actual) for framework, actual in went.items()}
        native, told = _native(rule, case, expected, call)
    return Row(name, call, repr(rule), fate(case, expected), ours, native, told)


def reference(rule: Rule, case: Case, flush: bool = False) -> np.ndarray:
    """Where NumPy goes, (steps, *shape); ``flush`` takes subnormal gradients for zero."""
    dtype = meetings.numpy_dtype(case.dtype)
    parameter, thetas = case.start.astype(dtype), []
    optimizer = samestep.frameworks.numpy.Optimizer([parameter], rule)
    for gradient in case.gradients:
        dense = case.dense(gradient)
        if flush and dense is not None:
            dense = np.where(np.abs(dense) < np.finfo(np.float32).tiny, 0, dense).astype(dtype)
        optimizer.step([dense])
        thetas.append(parameter.copy())
    return np.array(thetas)


def fate(case: Case, thetas: np.ndarray) -> str:
    """What has become of the elements in the end."""
    end, start = thetas[-1].astype(np.float64), case.start.astype(thetas.dtype).astype(np.float64)
    nan, infinite = np.isnan(end), np.isinf(end)
    counts = {
        "moved": (end != start) & ~nan & ~infinite, "at rest": end == start, "not a number": nan, "infinite": infinite,
    }  # fmt: skip
    return ", ".join(f"{int(np.sum(which))} {word}" for word, which in counts.items() if np.any(which)) or "no elements"


def _ours(rule: Rule, case: Case, expected: np.ndarray, actual: np.ndarray) -> str:
    if np.array_equal(expected, actual, equal_nan=True):
        return EQUAL
    if np.array_equal(reference(rule, case, flush=True), actual, equal_nan=True):
        return FLUSHED
    return f"{DIFFERS}: {first_difference(expected, actual)}"


def first_difference(expected: np.ndarray, actual: np.ndarray) -> str:
    """Step, element and both values."""
    step, *element = np.argwhere((expected != actual) & ~(np.isnan(expected) & np.isnan(actual)))[0].tolist()
    a, b = (float(thetas[(step, *element)]) for thetas in (expected, actual))
    return f"step {step + 1}, element {tuple(element)}: {a!r} against {b!r}"


def _native(rule: Rule, case: Case, expected: np.ndarray, call: str) -> tuple[str, str]:
    """Whether the native does the same; and where not, or why it refuses."""
    try:
        actual = meetings.native(call, case)
    except Exception as error:  # whatever the native says
        return REFUSES, (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not expected.size:
        return WITHIN, ""
    bounds = _bounds(rule, case)
    verdict = verdicts.compare(case.start, expected, actual, bounds)
    if verdict.holds:
        return WITHIN, ""
    if cause := _recorded(rule, case, actual, call):
        return RECORDED, cause
    if np.isfinite(verdict.limit):
        return DIFFERS, f"{fate(case, actual)}; {verdict}"
    told = f"{fate(case, actual)}; {first_difference(expected, actual)}"
    return (NO_LIMIT if np.isfinite(actual).all() and np.isfinite(expected).all() else DIFFERS), told


def _recorded(rule: Rule, case: Case, actual: np.ndarray, call: str) -> str:
    """The cause of a recorded deviation, if a rule that makes the same mistake goes where the native went."""
    dialect = call.partition(":")[0]
    known = deviations.find(dialect, KINDS[dialect], case.dtype, rule)
    if known is None:
        return ""
    deviation, imitation = known
    bounds = _bounds(imitation, case, deviation.scalars_in)
    explained = verdicts.compare(case.start, reference(imitation, case), actual, bounds)
    return deviation.cause if explained.holds else ""


def _bounds(rule: Rule, case: Case, scalars_in: str = "float64") -> np.ndarray:
    """How far rounding can move the parameters; nowhere in a step without a gradient."""
    given = [case.dense(gradient) for gradient in case.gradients]
    taken = np.array([gradient.astype(np.float64) for gradient in given if gradient is not None])
    with np.errstate(all="ignore"):
        found = limits.bounds(rule, case.start, taken, case.dtype, scalars_in=scalars_in)
    return np.asarray(found[np.cumsum([gradient is not None for gradient in given]) - 1])


def calls(rules: Sequence[str]) -> list[str]:
    """Return the calls that stand for these rules in the frameworks' dialects; ValueError for an unknown rule."""
    if unknown := [rule for rule in rules if rule not in cases.PLAIN]:
        raise ValueError(f"rules must be some of {', '.join(cases.PLAIN)}, got {', '.join(unknown)}")
    chosen: list[str] = []
    for rule in rules:
        chosen += cases.PLAIN[rule]
    return chosen


def save(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to a JSON file."""
    body = json.dumps({"rows": [{**dataclasses.asdict(row), "holds": row.holds} for row in rows]}, indent=1)
    record.write_whole(path, lambda file: file.write(body.encode()))
