"""Step times that pytest-benchmark measured, as tables and as curves."""

from collections.abc import Sequence
from typing import Any

import msgspec

from .content import GrowthCurve, StepRow, StepTable

IMPLEMENTATIONS = ("ours", "native")


class Stats(msgspec.Struct, frozen=True):
    """The statistics of pytest-benchmark that are used here, in seconds."""

    median: float


class StepFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ``bench/test_steps.py`` says of a measured step."""

    framework: str
    call: str
    rule: str
    implementation: str
    mode: str
    device: str
    gpu: str | None
    threads: int
    parameters: int
    versions: dict[str, str]
    machine: dict[str, Any]
    first_step_seconds: float

    @property
    def column(self) -> str:
        """The implementation and the mode, as one name."""
        return f"{self.implementation} {self.mode}"


class StepBenchmark(msgspec.Struct, frozen=True):
    """A measured step."""

    stats: Stats
    extra_info: StepFacts


class GrowthFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ``bench/test_growth.py`` says of a measured step."""

    framework: str
    call: str
    grows: str
    count: int
    implementation: str
    mode: str
    device: str
    first_step_seconds: float


class GrowthBenchmark(msgspec.Struct, frozen=True):
    """A measured step at one size of the model."""

    stats: Stats
    extra_info: GrowthFacts


def tables(benchmarks: Sequence[StepBenchmark]) -> list[StepTable]:
    """Return one table for each framework and device."""
    by_place: dict[tuple[str, str], list[StepBenchmark]] = {}
    for benchmark in benchmarks:
        place = (benchmark.extra_info.framework, benchmark.extra_info.device)
        by_place.setdefault(place, []).append(benchmark)
    return [_table(measured) for measured in by_place.values()]


def _table(benchmarks: Sequence[StepBenchmark]) -> StepTable:
    first = benchmarks[0].extra_info
    columns: dict[tuple[str, str], None] = {}
    by_call: dict[str, list[StepBenchmark]] = {}
    for benchmark in benchmarks:
        facts = benchmark.extra_info
        columns[facts.implementation, facts.mode] = None
        by_call.setdefault(facts.call, []).append(benchmark)
    return StepTable(
        framework=first.framework,
        device=first.device,
        gpu=first.gpu,
        threads=first.threads,
        parameters=first.parameters,
        versions=first.versions,
        machine=first.machine,
        columns=sorted(columns, key=lambda column: IMPLEMENTATIONS.index(column[0])),
        rows=[_row(call, measured) for call, measured in by_call.items()],
    )


def _row(call: str, benchmarks: Sequence[StepBenchmark]) -> StepRow:
    rule = benchmarks[0].extra_info.rule.partition("(")[0]
    seconds = {benchmark.extra_info.column: benchmark.stats.median for benchmark in benchmarks}
    first = {
        benchmark.extra_info.column: benchmark.extra_info.first_step_seconds
        for benchmark in benchmarks
    }
    ratio = _ratio(_fastest(seconds, "ours"), _fastest(seconds, "native"))
    return StepRow(call, rule, seconds, first, ratio)


def _fastest(seconds: dict[str, float], implementation: str) -> float | None:
    times = [time for column, time in seconds.items() if column.startswith(implementation)]
    return min(times, default=None)


def _ratio(ours: float | None, native: float | None) -> float | None:
    return ours / native if ours and native else None


def curves(benchmarks: Sequence[GrowthBenchmark]) -> list[GrowthCurve]:
    """Return one curve for each implementation and mode, in the order of measurement."""
    by_curve: dict[tuple[str, ...], list[GrowthBenchmark]] = {}
    for benchmark in benchmarks:
        facts = benchmark.extra_info
        key = (
            facts.framework,
            facts.call,
            facts.grows,
            facts.implementation,
            facts.mode,
            facts.device,
        )
        by_curve.setdefault(key, []).append(benchmark)
    return [_curve(measured) for measured in by_curve.values()]


def _curve(benchmarks: Sequence[GrowthBenchmark]) -> GrowthCurve:
    first = benchmarks[0].extra_info
    return GrowthCurve(
        framework=first.framework,
        call=first.call,
        grows=first.grows,
        implementation=first.implementation,
        mode=first.mode,
        device=first.device,
        count=[benchmark.extra_info.count for benchmark in benchmarks],
        seconds=[benchmark.stats.median for benchmark in benchmarks],
        first=[benchmark.extra_info.first_step_seconds for benchmark in benchmarks],
    )
