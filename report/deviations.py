"""The deviations of the frameworks' own optimizers: recorded ones, and those now seen."""

import math
from collections.abc import Sequence

from samestep import PACKAGE
from samestep.parity.natives.reproductions import REPRODUCTIONS, Reproduction
from samestep.reference import dialects

from .content import (
    DeviationSize,
    DeviationSummary,
    HostileRow,
    HostileTable,
    NativeRow,
    RecordedDeviation,
)
from .dialect_tables import PREFIXES


def recorded() -> list[RecordedDeviation]:
    """Return all recorded deviations, also those that only a script of their own shows."""
    return [_recorded(reproduction) for reproduction in REPRODUCTIONS]


def _recorded(reproduction: Reproduction) -> RecordedDeviation:
    return RecordedDeviation(
        name=reproduction.name,
        native=reproduction.native,
        versions=reproduction.versions,
        cause=reproduction.cause,
        size=reproduction.size,
        link=reproduction.link,
        script=reproduction.script.relative_to(PACKAGE).as_posix(),
    )


def deviation_summaries(rows: Sequence[NativeRow]) -> list[DeviationSummary]:
    """Return each cause with a row for each optimizer and dtype that it explains."""
    by_cause: dict[str, list[NativeRow]] = {}
    links: dict[str, str] = {}
    for row in rows:
        if row.deviation:
            by_cause.setdefault(row.deviation.cause, []).append(row)
            links[row.deviation.cause] = row.deviation.link
    return [DeviationSummary(cause, links[cause], _sizes(some)) for cause, some in by_cause.items()]


def _sizes(rows: Sequence[NativeRow]) -> list[DeviationSize]:
    by_optimizer: dict[tuple[str, str], list[NativeRow]] = {}
    for row in rows:
        dialect, name, _ = dialects.parse(row.call)
        by_optimizer.setdefault((PREFIXES[dialect] + name, row.dtype), []).append(row)
    return [
        DeviationSize(
            optimizer=optimizer,
            dtype=dtype,
            comparisons=len(some),
            distance=_largest([row.distance for row in some]),
            size=max(row.deviation.size for row in some if row.deviation),
        )
        for (optimizer, dtype), some in by_optimizer.items()
    ]


def _largest(distances: Sequence[float | None]) -> float | None:
    """Return the largest distance.

    None, which stands for NaN and infinity, if one of them is None.
    """
    return (
        None
        if None in distances
        else max((each for each in distances if each is not None), default=math.nan)
    )


def hostile_tables(rows: Sequence[HostileRow]) -> list[HostileTable]:
    """Return the rows on difficult gradients in one table for each call, in their order."""
    by_call: dict[str, list[HostileRow]] = {}
    for row in rows:
        by_call.setdefault(row.call, []).append(row)
    return [HostileTable(call, some) for call, some in by_call.items()]
