"""Rung 3: the natives as witnesses. ``samestep natives --out natives.json`` measures every one of them."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samestep.frameworks.experiment import record
from samestep.parity.measure import cases, limits
from samestep.parity.measure import nearest_wrong as court
from samestep.parity.measure import verdict as verdicts
from samestep.parity.runners import natives as witnesses
from samestep.reference import RULES, Rule, dialects

from . import deviations

DTYPES = ("float32", "float64")
STEPS = court.STEPS  # of each trial, unless more are asked for
HOLDS = ("agrees", "deviates as recorded")  # the verdicts that hold


@dataclasses.dataclass(frozen=True)
class Row:
    """One native held to its dialect. Distances and limits are shares of the path.

    ``verdict`` is "agrees", "deviates as recorded", "differs", or "mended" where a recorded deviation is gone; the
    first two hold. ``told`` describes the place closest to the limit.
    """

    call: str
    rule: str
    witness: str
    dtype: str
    distance: float
    limit: float
    nearest_wrong: float
    wrong_rule: str
    verdict: str
    told: str
    deviation: dict[str, Any] | None
    command: str


@dataclasses.dataclass(frozen=True)
class Witness:
    """A native optimizer in one implementation or mode, on one dtype."""

    call: str
    kind: str
    dtype: str

    @property
    def dialect(self) -> str:
        """The dialect whose native this is."""
        return dialects.parse(self.call)[0]

    @property
    def name(self) -> str:
        """As the report prints it."""
        return f"{witnesses.of(self.dialect).TITLE} {self.kind}"

    @property
    def command(self) -> str:
        """What repeats this measurement."""
        return f'samestep natives --call "{self.call}" --kind {self.kind} --dtype {self.dtype}'

    def run(self, trial: court.TensorTrial) -> np.ndarray:
        """Where the native goes on the trial, (steps, n)."""
        _, name, arguments = dialects.parse(self.call)
        return witnesses.of(self.dialect).run(dialects.Call(name, arguments), self.kind, self.dtype, trial)


def every(dialect: str) -> Iterator[Witness]:
    """Every native of the dialect on every case, in every implementation or mode and dtype."""
    for call in (*cases.CALLS, *cases.FURTHER.get(dialect, ())):
        spoken, name, _ = dialects.parse(call)
        if spoken == dialect:
            kinds = witnesses.of(dialect).kinds(name)
            yield from (Witness(call, kind, dtype) for kind in kinds for dtype in DTYPES)


def hold(witness: Witness, steps: int = court.STEPS) -> Row:
    """Hold a native to its dialect's rule; where it is known to deviate, to the recorded cause as well."""
    rule = dialects.read(witness.call)
    trial = court.trial(rule, steps)
    actual = witness.run(trial)
    expected, bounds = court.expectation(rule, witness.dtype, steps)
    verdict = verdicts.compare(trial.start, expected, actual, bounds)
    word, excuse = "agrees" if verdict.holds else "differs", None
    known = deviations.find(witness.dialect, witness.kind, witness.dtype, rule)
    if known and (size := known[0].sizes[type(rule).__name__]):
        deviation, imitation = known
        excuse = {"cause": deviation.cause, "size": size, "link": deviation.link}
        word = "mended" if verdict.holds else "differs"
        if deviation.without:
            explained = hold(dataclasses.replace(witness, kind=deviation.without), steps).verdict == "agrees"
        else:
            explained = _explained(imitation, witness.dtype, deviation.scalars_in, trial, actual).holds
        if explained and not verdict.holds and (steps > court.STEPS or verdict.distance <= size):
            word = "deviates as recorded"
    wrong = court.nearest_wrong(rule, witness.dtype, steps)
    return Row(
        call=witness.call, rule=repr(rule), witness=witness.name, dtype=witness.dtype,
        distance=verdict.distance, limit=verdict.limit, nearest_wrong=wrong.distance, wrong_rule=wrong.name,
        verdict=word, told=str(verdict), deviation=excuse,
        command=witness.command,
    )  # fmt: skip


def _explained(
    imitation: Rule, dtype: str, scalars_in: str, trial: court.TensorTrial, actual: np.ndarray
) -> verdicts.Verdict:
    """The native against the rule that makes its mistake; its scalars round in ``scalars_in``."""
    start, gradients, rates = trial
    expected = verdicts.run(imitation, start, gradients, "float64", rates)
    bounds = limits.bounds(imitation, start, gradients, dtype, rates, scalars_in=scalars_in)
    return verdicts.compare(start, expected, actual, bounds)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which natives are checked; None and an empty ``rules`` stand for all. ``rules`` are names of classes."""

    call: str | None = None
    kind: str | None = None
    dtype: str | None = None
    rules: tuple[str, ...] = ()

    def includes(self, witness: Witness) -> bool:
        """Return True if the native belongs to the selection."""
        for name in ("call", "kind", "dtype"):
            if getattr(self, name) not in (None, getattr(witness, name)):
                return False
        return not self.rules or type(dialects.read(witness.call)).__name__ in self.rules


def absent() -> dict[str, str]:
    """Return the dialects whose natives cannot run here, and the reason for each."""
    reasons = {}
    for dialect in witnesses.SPOKEN:
        if package := witnesses.missing(dialect):
            reasons[dialect] = f"{package} is not installed"
    return reasons


def select(selection: Selection) -> list[Witness]:
    """Return the natives of the selection that can run here; ValueError if there are none or a rule is unknown."""
    known = [rule.__name__ for rule in RULES]
    if unknown := [name for name in selection.rules if name not in known]:
        raise ValueError(f"rules must be some of {', '.join(known)}, got {', '.join(unknown)}")
    left_out = absent()
    chosen = []
    for dialect in witnesses.SPOKEN:
        if dialect not in left_out:
            chosen += [witness for witness in every(dialect) if selection.includes(witness)]
    if not chosen:
        raise ValueError("no native matches; run without --call, --kind, --dtype and --rules to see them all")
    return chosen


def save(rows: Sequence[Row], left_out: dict[str, str], path: Path) -> None:
    """Write the rows, and the dialects that were left out with the reason, to a JSON file."""
    body = json.dumps({"rows": [dataclasses.asdict(row) for row in rows], "left_out": left_out}, indent=1)
    record.write_whole(path, lambda file: file.write(body.encode()))
