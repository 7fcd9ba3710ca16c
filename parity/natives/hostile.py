"""Hostile gradients: what each rule makes of them, and whether our adapters and the natives make
the same.

Our adapters must have the bits of the reference. What a native does otherwise, or refuses, is
reported, not judged.
"""

import dataclasses
import enum
import itertools
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import record
from samestep.parity.measure import cases, limits, streams
from samestep.parity.measure.dtypes import numpy_dtype
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trial import SparseGradient, Trial
from samestep.parity.measure.verdict import Verdict, judge_tensor
from samestep.parity.runners import Native, runner_of
from samestep.parity.runners.result import RunOptions
from samestep.reference import Rule, dialects

from . import deviations

STEPS = 5
SIZE = 8
TENSOR = "hostile"
# beside it; it always has a gradient, since Keras refuses a step in which there is none at all
CALM = "calm"
FRAMEWORKS = {"pytorch": "pytorch", "tensorflow": "keras"}  # of our adapters, and their runners
NATIVE_MODES = {"pytorch": "for-loop", "keras": "eager"}


class AdapterVerdict(enum.StrEnum):
    """What an adapter of ours does with hostile gradients, beside the reference."""

    EQUAL_BITS = "equal bits"
    FLUSHES = "flushes subnormals"
    DIFFERS = "differs"


class NativeBehaviour(enum.StrEnum):
    """What a native does with hostile gradients, beside the reference."""

    SAME = "the same"
    RECORDED = "deviates as recorded"
    DIFFERS = "differs"
    NO_LIMIT = "no limit"
    REFUSES = "refuses"


class HostileCase(NamedTuple):
    """A trial with hostile gradients in its tensor ``TENSOR``, and the dtype in which it is run."""

    trial: Trial
    dtype: str = "float32"

    @property
    def start(self) -> np.ndarray:
        """The start of the hostile tensor."""
        return self.trial.start[TENSOR]


def _case(
    start: np.ndarray,
    gradients: Sequence[np.ndarray | SparseGradient | None],
    dtype: str = "float32",
) -> HostileCase:
    """A case of one hostile tensor and a calm one; None is a step without a gradient."""
    arrays = [_dense(gradient, start.shape, dtype) for gradient in gradients]
    sparse = [gradient for gradient in gradients if isinstance(gradient, SparseGradient)]
    trial = Trial(
        {TENSOR: start, CALM: np.ones(2)},
        {TENSOR: np.array(arrays), CALM: np.ones((STEPS, 2))},
        {
            TENSOR: np.array([gradient is not None for gradient in gradients]),
            CALM: np.ones(STEPS, bool),
        },
        np.ones(STEPS),
        {TENSOR: sparse} if sparse else {},
    )
    return HostileCase(trial, dtype)


def _dense(
    gradient: np.ndarray | SparseGradient | None, shape: tuple[int, ...], dtype: str
) -> np.ndarray:
    """The gradient in float64, rounded to ``dtype``; zeros where there is none."""
    if gradient is None:
        return np.zeros(shape)
    if isinstance(gradient, SparseGradient):
        rounded = gradient._replace(values=gradient.values.astype(numpy_dtype(dtype)))
        return rounded.dense(shape).astype(np.float64)
    return gradient.astype(numpy_dtype(dtype)).astype(np.float64)


def _changed(gradients: np.ndarray, step: int, elements: dict[int, float]) -> list[np.ndarray]:
    """The gradients of all steps; in one step some elements are replaced."""
    copy = gradients.copy()
    for element, value in elements.items():
        copy[step, element] = value
    return list(copy)


def _cases() -> dict[str, HostileCase]:
    start = streams.start(SIZE)
    g = streams.gradients("spread", STEPS, np.logspace(-3, 0, SIZE))
    nothing = np.zeros(SIZE)
    signs = np.where(np.arange(SIZE) % 2, 1.0, -1.0)
    fading = np.logspace(0, -12, STEPS)[:, None]
    largest = float(np.finfo(np.float32).max) * signs
    matrix = start.reshape(4, 2)
    matrices = [each.reshape(4, 2) for each in g]
    rows = [SparseGradient((2, 0, 2), each[:6].reshape(3, 2)) for each in g]
    not_contiguous = _case(matrix, matrices)
    return {
        "zero": _case(start, [nothing, nothing, g[2], nothing, nothing]),
        "no gradient": _case(start, [g[0], None, None, g[3], g[4]]),
        "not a number": _case(start, _changed(g, 1, {3: np.nan})),
        "infinite": _case(start, _changed(g, 1, {2: np.inf, 5: -np.inf})),
        "subnormal": _case(start, [g[0], *[1e-40 * signs] * (STEPS - 1)]),
        "the largest finite": _case(start, [g[0], *[largest] * (STEPS - 1)]),
        "alternating signs": _case(start, [np.abs(g[0]) * (-1) ** t for t in range(STEPS)]),
        "one huge element": _case(start, _changed(g, 1, {4: 1e30})),
        "shrinking by 12 orders": _case(start, list(g * fading)),
        "growing by 12 orders": _case(start, list(g * fading[::-1])),
        "no dimension": _case(np.asarray(start[0]), [np.asarray(each[0]) for each in g]),
        "empty": _case(start[:0], [each[:0] for each in g]),
        "not contiguous": not_contiguous._replace(
            trial=not_contiguous.trial.replace(transposed=True)
        ),
        "float16": _case(start, list(g), "float16"),
        "bfloat16": _case(start, list(g), "bfloat16"),
        "sparse with duplicates": _case(matrix, rows),
    }


CASES = _cases()


@dataclasses.dataclass(frozen=True)
class HostileRow:
    """One call on one case. ``reference`` says in words what became of the elements.

    ``ours`` has, by framework, an ``AdapterVerdict``, after "differs" followed by the place.
    ``native`` is a ``NativeBehaviour``; ``message`` says where a native differs, or why it refuses.
    """

    case: str
    call: str
    rule: str
    reference: str
    ours: dict[str, str]
    native: NativeBehaviour
    message: str

    @property
    def holds(self) -> bool:
        """True if our adapters do as the reference does."""
        return all(
            text in (AdapterVerdict.EQUAL_BITS, AdapterVerdict.FLUSHES)
            for text in self.ours.values()
        )

    def __str__(self) -> str:
        ours = "; ".join(f"{framework} {result}" for framework, result in self.ours.items())
        native = f"{self.native} {self.message}".rstrip()
        return f"{self.call} {self.case}: {self.reference}; ours: {ours}; native: {native}"


def measure(name: str, call: str) -> HostileRow:
    """What becomes of one call on one case, in the reference, in our adapters and in the native."""
    case = CASES[name]
    rule = dialects.read(call)
    expected = reference(rule, case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that gradients are missing, made dense, or no numbers
        ours = {
            framework: _judge_adapter(rule, case, expected, framework) for framework in FRAMEWORKS
        }
        native, message = _judge_native(rule, case, expected, call)
    return HostileRow(name, call, repr(rule), fate(case, expected), ours, native, message)


def reference(rule: Rule, case: HostileCase, flush: bool = False) -> np.ndarray:
    """The rule's trajectory in NumPy, (steps, *shape); with ``flush`` subnormal gradients are taken
    for zero.
    """
    trial = case.trial
    if flush:
        gradients = trial.gradients[TENSOR]
        flushed = np.where(np.abs(gradients) < np.finfo(np.float32).tiny, 0, gradients)
        trial = trial.replace(gradients={**trial.gradients, TENSOR: flushed})
    return run_rule(rule, trial, case.dtype).thetas[TENSOR]


def run_adapter(framework: str, rule: Rule, case: HostileCase) -> np.ndarray:
    """The trajectory of our adapter, (steps, *shape)."""
    runner: Any = runner_of(FRAMEWORKS[framework])
    result = runner.run(runner.adapter_maker(rule), case.trial, case.dtype, RunOptions("eager"))
    return np.asarray(result.trajectory.thetas[TENSOR])


def run_native(call: str, case: HostileCase) -> np.ndarray:
    """The trajectory of the native that the call names: torch.optim's for-loop, or Keras'
    optimizer, eagerly.
    """
    dialect, name, arguments = dialects.parse(call)
    native = Native(dialects.Call(name, arguments), NATIVE_MODES[dialect])
    return runner_of(dialect).run_native(native, case.trial, case.dtype).thetas[TENSOR]


def fate(case: HostileCase, thetas: np.ndarray) -> str:
    """What has become of the elements in the end, in words."""
    end = thetas[-1].astype(np.float64)
    start = case.start.astype(thetas.dtype).astype(np.float64)
    nan = np.isnan(end)
    infinite = np.isinf(end)
    counts = {
        "moved": (end != start) & ~nan & ~infinite,
        "at rest": end == start,
        "not a number": nan,
        "infinite": infinite,
    }
    parts = [f"{int(np.sum(which))} {word}" for word, which in counts.items() if np.any(which)]
    return ", ".join(parts) or "no elements"


def _judge_adapter(rule: Rule, case: HostileCase, expected: np.ndarray, framework: str) -> str:
    actual = run_adapter(framework, rule, case)
    if np.array_equal(expected, actual, equal_nan=True):
        return AdapterVerdict.EQUAL_BITS
    if np.array_equal(reference(rule, case, flush=True), actual, equal_nan=True):
        return AdapterVerdict.FLUSHES
    return f"{AdapterVerdict.DIFFERS}: {first_difference(expected, actual)}"


def first_difference(expected: np.ndarray, actual: np.ndarray) -> str:
    """Step, element and both values of the first difference."""
    different = (expected != actual) & ~(np.isnan(expected) & np.isnan(actual))
    step, *element = np.argwhere(different)[0].tolist()
    values = [float(thetas[(step, *element)]) for thetas in (expected, actual)]
    return f"step {step + 1}, element {tuple(element)}: {values[0]!r} against {values[1]!r}"


def _judge_native(
    rule: Rule, case: HostileCase, expected: np.ndarray, call: str
) -> tuple[NativeBehaviour, str]:
    """What the native does; and where it differs, or why it refuses."""
    try:
        actual = run_native(call, case)
    except Exception as error:  # whatever the native raises
        return NativeBehaviour.REFUSES, (str(error).strip().splitlines() or [type(error).__name__])[
            0
        ]
    if not expected.size:
        return NativeBehaviour.SAME, ""
    verdict = _compare(rule, case, expected, actual)
    if verdict.holds:
        return NativeBehaviour.SAME, ""
    cause = _recorded_cause(rule, case, actual, call)
    if cause:
        return NativeBehaviour.RECORDED, cause
    if np.isfinite(verdict.limit):
        return NativeBehaviour.DIFFERS, f"{fate(case, actual)}; {verdict}"
    message = f"{fate(case, actual)}; {first_difference(expected, actual)}"
    finite = np.isfinite(actual).all() and np.isfinite(expected).all()
    return (NativeBehaviour.NO_LIMIT if finite else NativeBehaviour.DIFFERS), message


def _compare(
    rule: Rule,
    case: HostileCase,
    expected: np.ndarray,
    actual: np.ndarray,
    scalars_in: str = "float64",
) -> Verdict:
    """The verdict within the limits of the rule; in a step without a gradient rounding moves
    nothing.
    """
    with np.errstate(all="ignore"):
        bounds = limits.of_rule(rule, case.trial, case.dtype, scalars_in).thetas[TENSOR]
    return judge_tensor(case.start, expected, actual, bounds)


def _recorded_cause(rule: Rule, case: HostileCase, actual: np.ndarray, call: str) -> str:
    """The cause of a recorded deviation, if a rule that makes the same mistake has the native's
    trajectory.
    """
    dialect = call.partition(":")[0]
    known = deviations.find(dialect, NATIVE_MODES[dialect], case.dtype, rule)
    if known is None:
        return ""
    deviation, imitation = known
    verdict = _compare(imitation, case, reference(imitation, case), actual, deviation.scalars_in)
    return deviation.cause if verdict.holds else ""


def calls(rules: Sequence[str]) -> list[str]:
    """The calls that stand for these rules in the frameworks' dialects; ValueError for others."""
    unknown = [rule for rule in rules if rule not in cases.PLAIN]
    if unknown:
        known = ", ".join(cases.PLAIN)
        raise ValueError(f"rules must be some of {known}, got {', '.join(unknown)}")
    return list(itertools.chain.from_iterable(cases.PLAIN[rule] for rule in rules))


def save(rows: Sequence[HostileRow], path: Path) -> None:
    """Write the rows, and whether each holds, to a JSON file."""
    body = {"rows": [{**dataclasses.asdict(row), "holds": row.holds} for row in rows]}
    text = json.dumps(body, indent=1)
    record.write_whole(path, lambda file: file.write(text.encode()))
