"""Rung 3: every native optimizer is compared with the rule that its dialect says it follows."""

import dataclasses
import enum
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment import record
from samestep.parity.measure import cases, limits
from samestep.parity.measure.nearest_wrong import STEPS, designed_trial, expectation, nearest_wrong
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Verdict, judge
from samestep.parity.runners import LIBRARIES, Native, missing_package, runner_of
from samestep.reference import RULES, Rule, dialects

from . import deviations
from .deviations import Deviation

DTYPES = ("float32", "float64")


class NativeVerdict(enum.StrEnum):
    """What came of comparing a native with its dialect's rule."""

    AGREES = "agrees"
    RECORDED = "deviates as recorded"
    DIFFERS = "differs"
    MENDED = "mended"

    @property
    def holds(self) -> bool:
        """True if nothing new was seen. A recorded deviation that is gone must be noticed, too."""
        return self in (NativeVerdict.AGREES, NativeVerdict.RECORDED)


@dataclasses.dataclass(frozen=True)
class NativeCase:
    """A native optimizer in one implementation or mode, in one dtype."""

    call: str
    mode: str
    dtype: str

    @property
    def dialect(self) -> str:
        """The dialect whose native this is."""
        return dialects.parse(self.call)[0]

    @property
    def title(self) -> str:
        """The native's library and mode, as the report prints them."""
        return f"{LIBRARIES[self.dialect].title} {self.mode}"

    @property
    def command(self) -> str:
        """The command that repeats this measurement."""
        return f'samestep natives --call "{self.call}" --mode "{self.mode}" --dtype {self.dtype}'

    def run(self, trial: Trial) -> Trajectory:
        """The native's trajectory on the trial."""
        _, name, arguments = dialects.parse(self.call)
        native = Native(dialects.Call(name, arguments), self.mode)
        return runner_of(self.dialect).run_native(native, trial, self.dtype)


@dataclasses.dataclass(frozen=True)
class NativeRow:
    """The result for one native. Distances and limits are shares of the path.

    ``native`` is the library and mode, ``place`` describes the place closest to the limit,
    ``deviation`` has the cause, size and link of a recorded deviation.
    """

    call: str
    rule: str
    native: str
    dtype: str
    distance: float
    limit: float
    nearest_wrong: float
    wrong_rule: str
    verdict: NativeVerdict
    place: str
    deviation: dict[str, Any] | None
    command: str


def every(dialect: str) -> Iterator[NativeCase]:
    """Every native of the dialect on every call, in every implementation or mode and dtype."""
    for call in (*cases.CALLS, *cases.FURTHER.get(dialect, ())):
        of_call, name, _ = dialects.parse(call)
        if of_call != dialect:
            continue
        for mode in LIBRARIES[dialect].modes(name):
            for dtype in DTYPES:
                yield NativeCase(call, mode, dtype)


def check(case: NativeCase, steps: int = STEPS) -> NativeRow:
    """Compare a native with its dialect's rule; where it is known to deviate, with the recorded
    cause as well.
    """
    rule = dialects.read(case.call)
    expected = expectation(rule, case.dtype, steps)
    actual = case.run(expected.trial)
    verdict = judge(expected.trial, expected.trajectory, actual, expected.limits)
    outcome = NativeVerdict.AGREES if verdict.holds else NativeVerdict.DIFFERS
    recorded = None
    known = deviations.find(case.dialect, case.mode, case.dtype, rule)
    if known and (size := known[0].sizes[type(rule).__name__]):
        recorded = {"cause": known[0].cause, "size": size, "link": known[0].link}
        outcome = NativeVerdict.MENDED if verdict.holds else NativeVerdict.DIFFERS
        within_size = steps > STEPS or verdict.distance <= size
        if not verdict.holds and within_size and _is_explained(case, *known, actual):
            outcome = NativeVerdict.RECORDED
    wrong = nearest_wrong(rule, case.dtype, steps)
    return NativeRow(
        call=case.call,
        rule=repr(rule),
        native=case.title,
        dtype=case.dtype,
        distance=verdict.distance,
        limit=verdict.limit,
        nearest_wrong=wrong.distance,
        wrong_rule=wrong.name,
        verdict=outcome,
        place=str(verdict),
        deviation=recorded,
        command=case.command,
    )


def _is_explained(
    case: NativeCase, deviation: Deviation, imitation: Rule, actual: Trajectory
) -> bool:
    """True if the recorded cause explains the native.

    The rule that makes its mistake must agree with it; or, where no rule can, the native in the
    mode in which the cause is removed must agree with the right rule.
    """
    steps = len(next(iter(actual.thetas.values())))
    if deviation.repaired_mode:
        repaired = check(dataclasses.replace(case, mode=deviation.repaired_mode), steps)
        return repaired.verdict is NativeVerdict.AGREES
    trial = designed_trial(dialects.read(case.call), steps)
    return compare_with(imitation, trial, actual, case.dtype, deviation.scalars_in).holds


def compare_with(
    imitation: Rule, trial: Trial, actual: Trajectory, dtype: str, scalars_in: str
) -> Verdict:
    """Compare a native with the rule that makes its mistake, and computes its scalars in
    ``scalars_in``.
    """
    expected = run_rule(imitation, trial, "float64")
    return judge(trial, expected, actual, limits.of_rule(imitation, trial, dtype, scalars_in))


def installed() -> tuple[list[str], dict[str, str]]:
    """The dialects whose natives can run here; and why the others are left out, by dialect."""
    present = []
    absent = {}
    for dialect in LIBRARIES:
        package = missing_package(dialect)
        if package:
            absent[dialect] = f"{package} is not installed"
        else:
            present.append(dialect)
    return present, absent


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which natives are checked; None, and an empty ``rules``, stand for all.

    ``rules`` are the names of rules that the natives follow; ValueError for an unknown one.
    """

    call: str | None = None
    mode: str | None = None
    dtype: str | None = None
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.call is not None:
            dialects.read(self.call)
        known = [rule.__name__ for rule in RULES]
        unknown = [name for name in self.rules if name not in known]
        if unknown:
            raise ValueError(f"rules must be some of {', '.join(known)}, got {', '.join(unknown)}")

    def includes(self, case: NativeCase) -> bool:
        """Return True if the native belongs to the selection."""
        if self.call is not None and dialects.parse(self.call) != dialects.parse(case.call):
            return False
        for name in ("mode", "dtype"):
            if getattr(self, name) not in (None, getattr(case, name)):
                return False
        return not self.rules or type(dialects.read(case.call)).__name__ in self.rules


def select(selection: Selection) -> list[NativeCase]:
    """Return the natives of the selection that can run here; ValueError if there are none."""
    present, _ = installed()
    chosen: list[NativeCase] = []
    for dialect in present:
        chosen += [case for case in every(dialect) if selection.includes(case)]
    if not chosen:
        raise ValueError(
            "no native matches; run without --call, --mode, --dtype and --rules to see them all"
        )
    return chosen


def save(rows: Sequence[NativeRow], absent: dict[str, str], path: Path) -> None:
    """Write the rows, and why dialects were left out, to a JSON file."""
    body = {"rows": [dataclasses.asdict(row) for row in rows], "left_out": absent}
    text = json.dumps(body, indent=1)
    record.write_whole(path, lambda file: file.write(text.encode()))
