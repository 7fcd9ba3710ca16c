"""From the files of a report's folder to its content.

The verdict is computed here from digests that are compared with the weights they name; nothing is
assumed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from . import (
    agreement,
    content,
    curves,
    deviations,
    dialect_tables,
    request,
    step_times,
    suite,
    trained,
    verdict,
)
from .content import (
    Content,
    Environment,
    Failure,
    FrameworkFacts,
    Growth,
    Hostile,
    HostileRow,
    NativeRow,
    Natives,
    PlantedFile,
    Results,
    Sensitivity,
    Steps,
)
from .request import FILES, Ending, Machine, RequestRecord, State
from .step_times import GrowthBenchmark, StepBenchmark
from .trained import TrainedRun


def build(folder: Path) -> Content:
    """Return the content of the report that was made in the folder.

    ValueError if none was made there.
    """
    saved = request.load(folder)
    runs = [trained.read(ending, folder) for ending in saved.runs]
    results = _results(saved, runs, folder)
    judged = Content(**msgspec.structs.asdict(results), verdict=verdict.judge(results))
    return content.decode(
        content.encode(judged)
    )  # so that NaN and infinity become None, as in report.json


def _results(saved: RequestRecord, runs: Sequence[TrainedRun], folder: Path) -> Results:
    calls = []
    for rule in saved.request.rules:
        calls += [(rule, call) for call in saved.request.calls(rule)]
    lockstep = {call: _runs_of(runs, call, "lockstep") for _, call in calls}
    float32 = {call: _runs_of(runs, call, "float32") for _, call in calls}
    return Results(
        request=saved.request,
        command=saved.command,
        date=saved.date,
        seconds=saved.seconds,
        jobs=saved.jobs,
        training=[agreement.training_row(rule, call, lockstep[call]) for rule, call in calls],
        float32=[curves.drift(rule, call, float32[call]) for rule, call in calls if float32[call]],
        loss=[curves.loss(rule, call, lockstep[call]) for rule, call in calls],
        dialects=[dialect_tables.table(rule) for rule in saved.request.rules],
        natives=_natives(saved, folder),
        recorded=deviations.recorded(),
        hostile=_hostile(saved, folder),
        sensitivity=_sensitivity(saved, folder),
        steps=_steps(saved, folder),
        growth=_growth(saved, folder),
        suite=suite.here(),
        failures=[Failure(run.command, run.error) for run in runs if run.error],
        environment=_environment(saved.machine, runs),
    )


def _runs_of(runs: Sequence[TrainedRun], call: str, arithmetic: str) -> list[TrainedRun]:
    return [run for run in runs if (run.run.call, run.run.arithmetic) == (call, arithmetic)]


def _environment(machine: Machine, runs: Sequence[TrainedRun]) -> Environment:
    """Return the facts of each framework, as the headers of its records state them."""
    headers = {run.run.framework: run.record.header for run in runs if run.record}
    facts = {
        framework: msgspec.convert(header, FrameworkFacts) for framework, header in headers.items()
    }
    return Environment(machine, facts)


def _natives(saved: RequestRecord, folder: Path) -> Natives:
    ending, rows = _read(saved.natives, folder / FILES.natives, "rows", NativeRow)
    chosen = _of_rules(rows, saved.request.rules)
    return Natives(ending, chosen, deviations.deviation_summaries(chosen))


def _hostile(saved: RequestRecord, folder: Path) -> Hostile:
    ending, rows = _read(saved.hostile, folder / FILES.hostile, "rows", HostileRow)
    return Hostile(ending, deviations.hostile_tables(_of_rules(rows, saved.request.rules)))


def _sensitivity(saved: RequestRecord, folder: Path) -> Sensitivity:
    path = folder / FILES.sensitivity
    ending, rows = _read(saved.sensitivity, path, "rows", PlantedFile)
    if ending.state is not State.DONE:
        return Sensitivity(ending)
    return Sensitivity(ending, rows, json.loads(path.read_text()).get("seconds"))


def _steps(saved: RequestRecord, folder: Path) -> Steps:
    ending, rows = _read(saved.steps, folder / FILES.steps, "benchmarks", StepBenchmark)
    chosen = [row for row in rows if _is_of(row.extra_info.rule, saved.request.rules)]
    return Steps(ending, step_times.tables(chosen))


def _growth(saved: RequestRecord, folder: Path) -> Growth:
    ending, rows = _read(saved.growth, folder / FILES.growth, "benchmarks", GrowthBenchmark)
    return Growth(ending, step_times.curves(rows))


Row = TypeVar("Row")


def _read(ending: Ending, path: Path, key: str, row: type[Row]) -> tuple[Ending, list[Row]]:
    """Return the rows that another program left in a JSON file.

    The part failed if they cannot be read.
    """
    if ending.state is not State.DONE:
        return ending, []
    try:
        body = msgspec.json.encode(
            json.loads(path.read_text())[key]
        )  # NaN, which Python writes, becomes null
        return ending, msgspec.json.decode(body, type=list[row])  # type: ignore[valid-type]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Ending(State.FAILED, f"{path} cannot be read: {error!r}", ending.command), []


class _OfRule(Protocol):
    """A row about a rule, which it names as ``repr`` does: ``Adam(lr=0.001)``."""

    @property
    def rule(self) -> str: ...


SomeRow = TypeVar("SomeRow", bound=_OfRule)


def _of_rules(rows: Sequence[SomeRow], names: Sequence[str]) -> list[SomeRow]:
    """Return the rows about rules of these names: a folder may hold results of more."""
    return [row for row in rows if _is_of(row.rule, names)]


def _is_of(rule: str, names: Sequence[str]) -> bool:
    return rule.partition("(")[0] in names
