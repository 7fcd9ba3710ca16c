"""From the files of a report's folder to its content: one plain dictionary, which is also ``report.json``.

The verdict is computed here, from digests that are held against the weights they name; nothing is assumed.
"""

import dataclasses
import json
import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samestep.frameworks.experiment import facts, record
from samestep.frameworks.experiment.run import Run
from samestep.reference import dialects

from . import atlas, curves, deviations, speed, verdict, work

EQUAL, DIFFERENT, MISSING, ALTERED = "equal", "different", "missing", "altered"


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run that was asked for, and its record if it left one."""

    run: Run
    path: Path | None
    record: record.Record | None
    error: str | None
    command: str

    def weights(self) -> dict[int, np.ndarray]:
        """The weights at the marks, flat, by step; read anew at each call, for all runs together are large."""
        return record.read_weights(self.path) if self.path else {}

    @property
    def digests(self) -> dict[int, str]:
        """The digest at each mark, by step."""
        return {mark["step"]: mark["digest"] for mark in self.record.marks} if self.record else {}

    def genuine(self) -> bool:
        """Whether every digest of the record is that of the weights beside it."""
        epochs = {epoch["steps"]: epoch["digest"] for epoch in self.record.epochs} if self.record else {}
        found = {step: facts.digest([array]) for step, array in self.weights().items()}
        return self.digests == found and epochs.items() <= found.items()


def build(folder: Path) -> dict[str, Any]:
    """The content of the report on what lies in ``folder``; ValueError if nothing was made there."""
    made = _made(folder)
    asked = work.Request(**{**made["asked"], **{k: tuple(made["asked"][k]) for k in ("rules", "frameworks")}})
    trained = [_trained(told, folder) for told in made["runs"]]
    body: dict[str, Any] = {key: made[key] for key in ("format", "command", "date", "seconds", "jobs", "asked")}
    calls = [(rule, call) for rule in asked.rules for call in asked.calls(rule)]
    body["training"] = [_row(rule, call, _of(trained, call, "lockstep")) for rule, call in calls]
    body["float32"] = [
        curves.drift(rule, call, runs) for rule, call in calls if (runs := _of(trained, call, "float32"))
    ]
    body["loss"] = [curves.loss(rule, call, _of(trained, call, "lockstep")) for rule, call in calls]
    body["dialects"] = [atlas.table(rule) for rule in asked.rules]
    natives = _rows(made["natives"], folder / "natives.json", "rows", asked)
    body["natives"] = {**natives, "deviations": deviations.summed(natives["rows"])}
    body["recorded"] = deviations.recorded()
    hostile = _rows(made["hostile"], folder / "hostile.json", "rows", asked)
    body["hostile"] = {**hostile, "tables": deviations.met(hostile["rows"])}
    steps = _rows(made["steps"], folder / "steps.json", "benchmarks", asked)
    body["steps"] = {**steps, "rows": speed.tables(steps["rows"])}
    growth = _rows(made["growth"], folder / "growth.json", "benchmarks", None)
    body["growth"] = {**growth, "rows": speed.curves(growth["rows"])}
    body["suite"] = None
    body["failures"] = [{"what": t.command, "message": t.error} for t in trained if t.error]
    body["environment"] = {"machine": made["machine"], **_environment(trained)}
    return _finite({"verdict": verdict.of(body), **body})


def _made(folder: Path) -> dict[str, Any]:
    path = folder / "made.json"
    try:
        made: dict[str, Any] = json.loads(path.read_text())
        if made["format"] != work.FORMAT:
            raise ValueError(f"format {made['format']}")
        return made
    except (OSError, ValueError, KeyError, TypeError) as error:
        advice = f"run samestep report --out {folder} first"
        raise ValueError(f"{path} must say what a report of format {work.FORMAT} made: {error}; {advice}") from error


def _trained(told: dict[str, Any], folder: Path) -> Trained:
    run, path, error, found = Run(**told["run"]), None, told["error"], None
    if told["record"] is not None:
        try:
            path = folder / told["record"]
            found = record.read(path)
            if not zipfile.is_zipfile(path.with_suffix(".npz")):
                raise ValueError(f"{path.with_suffix('.npz')} must be a whole NPZ file; run it again")
            record.read_weights(path)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as unread:
            path, found, error = None, None, str(unread)
    return Trained(run, path, found, error, work.reproduce(run, folder / "records"))


def _of(trained: Sequence[Trained], call: str, arithmetic: str) -> list[Trained]:
    return [t for t in trained if t.run.call == call and t.run.arithmetic == arithmetic]


def _row(rule: str, call: str, runs: Sequence[Trained]) -> dict[str, Any]:
    """One call, trained in lockstep in every framework: did all end with the same bits?"""
    state, step, odd = judge(runs)
    ended = [t for t in runs if t.record]
    return {
        "rule": rule, "call": call, "dialect": call.partition(":")[0], "means": repr(dialects.read(call)),
        "state": state, "first_difference": step, "odd": odd,
        "marks": sorted({mark for t in ended for mark in t.digests}),
        "steps": max((len(t.record.losses) for t in ended if t.record), default=0),
        "weights": max((array.size for t in ended[:1] for array in t.weights().values()), default=0),
        "digests": {t.run.framework: t.digests[max(t.digests)] if t.digests else None for t in runs},
        "accuracy": {t.run.framework: [e["accuracy"] for e in t.record.epochs] if t.record else None for t in runs},
        "order_dependent": next((n for t in ended if t.record and (n := t.record.order_dependent) is not None), None),
        "commands": {t.run.framework: t.command for t in runs},
    }  # fmt: skip


def judge(runs: Sequence[Trained]) -> tuple[str, int | None, list[str]]:
    """The state of a row, the first mark at which frameworks differ, and the frameworks that made the row so."""
    missing = [t.run.framework for t in runs if not t.digests]
    if missing:
        return MISSING, None, missing
    altered = [t.run.framework for t in runs if not t.genuine()]
    step = first_difference([t.digests for t in runs])
    if step is None and len(runs) > 1:
        return (ALTERED, None, altered) if altered else (EQUAL, None, [])
    if step is None:
        return MISSING, None, []
    return (ALTERED, step, altered) if altered else (DIFFERENT, step, _odd(runs, step))


def first_difference(digests: Sequence[dict[int, str]]) -> int | None:
    """The first step at which not all have the same digest, None if there is none."""
    steps = sorted({step for each in digests for step in each})
    return next((step for step in steps if len({each.get(step) for each in digests}) > 1), None)


def _odd(runs: Sequence[Trained], step: int) -> list[str]:
    """The frameworks that left the majority at that step; all of them where there is none."""
    (digest, votes), *_ = Counter(t.digests.get(step) for t in runs).most_common(1)
    return [t.run.framework for t in runs if t.digests.get(step) != digest or 2 * votes <= len(runs)]


def _rows(part: dict[str, Any], path: Path, key: str, asked: work.Request | None) -> dict[str, Any]:
    """What another program wrote, as far as it is about the rules that were asked for; all of it for None."""
    if part["state"] != work.DONE:
        return {**part, "rows": []}
    try:
        rows = json.loads(path.read_text())[key]
        told = [row.get("rule") or row["extra_info"]["rule"] for row in rows]
        return {
            **part,
            "rows": [r for r, rule in zip(rows, told, strict=True) if not asked or rule.split("(")[0] in asked.rules],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {**part, "state": work.FAILED, "words": f"{path} cannot be read: {error!r}", "rows": []}


def _environment(trained: Sequence[Trained]) -> dict[str, Any]:
    """Versions, devices, threads and options of each framework, as the records state them."""
    headers = {t.run.framework: t.record.header for t in trained if t.record}
    names = ("versions", "device", "threads", "settings", "options", "seed")
    return {"frameworks": {framework: {name: h[name] for name in names} for framework, h in headers.items()}}


def _finite(value: Any) -> Any:
    """The same with None for what is no finite number: JSON has no words for it."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
