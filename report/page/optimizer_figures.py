"""The plots about optimizers by themselves: the natives' distances, and the time of a step."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from samestep.parity.natives.check import NativeVerdict
from samestep.reference import dialects
from samestep.report.content import Content, GrowthCurve, NativeRow, StepTable
from samestep.report.phrases import TITLES

from . import figures
from .figures import GREEN, GREY, ORANGE, Figure, Trace

RED = "#d7263d"
VERDICT_MARKERS = {
    NativeVerdict.AGREES: (GREEN, "circle"),
    NativeVerdict.RECORDED: (ORANGE, "diamond"),
    NativeVerdict.MENDED: (RED, "square"),
    NativeVerdict.DIFFERS: (RED, "square"),
}
TIMES = {
    "type": "log",
    **figures.TICKS,
    "tickformat": ",",
    "tickangle": 0,
    "tickfont": {"size": 10},
}
SHAPES = ("circle", "square", "diamond", "triangle-up")
IMPLEMENTATION_COLOURS = {"ours": GREEN, "native": ORANGE}


def natives(content: Content) -> Figure:
    """Return a plot of every comparison of a native with its dialect, in multiples of its limit.

    The nearest wrong rule of each comparison is shown beside it.
    """
    rows = content.natives.rows
    traces = []
    for verdict, (colour, symbol) in VERDICT_MARKERS.items():
        points = [(row, row.distance) for row in rows if row.verdict is verdict]
        if points:
            traces.append(_distance_markers(verdict, points, colour, symbol))
    wrong = [(row, row.nearest_wrong) for row in rows]
    traces.append(_distance_markers("nearest wrong rule", wrong, GREY, "x-thin-open"))
    names = list(dict.fromkeys(_title(row) for row in rows))
    ends = [names[0], names[-1]] if names else []
    limit = go.Scatter(x=[1, 1], y=ends, mode="lines", name="limit", line={"color": GREY})
    return figures.figure(
        "Natives and wrong rules",
        ("distance (multiples of its limit)", "optimizer"),
        [*traces, limit],
        height=170 + 26 * len(names),
        xaxis=figures.POWERS | {"dtick": 4},
        yaxis=figures.categories(names),
        margin=figures.MARGIN | {"l": 120, "b": 110},
    )


def _distance_markers(
    name: str, distances: Sequence[tuple[NativeRow, float | None]], colour: str, symbol: str
) -> Trace:
    points = []
    for row, distance in distances:
        if distance and row.limit:
            points.append((row, distance / row.limit))
    return go.Scatter(
        x=[multiple for _, multiple in points],
        y=[_title(row) for row, _ in points],
        mode="markers",
        name=name,
        text=[f"{row.call}<br>{row.native}, {row.dtype}" for row, _ in points],
        marker={
            "color": colour,
            "symbol": symbol,
            "size": 9,
            "opacity": 0.75,
            "line": {"width": 1.5},
        },
        hovertemplate="%{text}<br>%{x:.2g} limits",
    )


def _title(row: NativeRow) -> str:
    """Return whose optimizer it is, and its name."""
    dialect, name, _ = dialects.parse(row.call)
    return f"{figures.OWNERS[dialect]} {name}"


def speeds(content: Content) -> list[Figure]:
    """Return a plot for each framework and device: the median time of a step."""
    return [_speed(table) for table in content.steps.tables]


def _speed(table: StepTable) -> Figure:
    traces = []
    for column, marker in zip(table.columns, _markers(table.columns), strict=True):
        name = " ".join(column)
        rows = [row for row in table.rows if name in row.seconds]
        trace = go.Scatter(
            x=[1e6 * row.seconds[name] for row in rows],
            y=[row.rule for row in rows],
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate="%{y}: %{x:.0f} µs",
        )
        traces.append(trace)
    return figures.figure(
        f"{TITLES[table.framework]}, {table.device}",
        ("time of a step (µs)", "rule"),
        traces,
        xaxis=TIMES,
        yaxis=figures.categories([row.rule for row in table.rows]),
        margin=figures.MARGIN | {"l": 76, "b": 96},
    )


def growth(content: Content) -> list[Figure]:
    """Return a plot for each framework and what grows: the median time of a step."""
    by_plot: dict[tuple[str, str], list[GrowthCurve]] = {}
    for curve in content.growth.curves:
        by_plot.setdefault((curve.framework, curve.grows), []).append(curve)
    return [_growth(curves) for curves in by_plot.values()]


def _growth(curves: Sequence[GrowthCurve]) -> Figure:
    first = curves[0]
    markers = _markers([(curve.implementation, curve.mode) for curve in curves])
    traces = []
    for curve, marker in zip(curves, markers, strict=True):
        trace = go.Scatter(
            x=curve.count,
            y=[1e6 * seconds for seconds in curve.seconds],
            mode="lines+markers",
            marker=marker,
            name=f"{curve.implementation} {curve.mode}",
            line={"color": marker["color"], "width": 1.5},
            hovertemplate=f"%{{x:,}} {curve.grows}: %{{y:,.0f}} µs",
        )
        traces.append(trace)
    x_title = f"number of {first.grows}"
    if first.grows == "tensors":
        x_title += " of 1,000 parameters each"
    return figures.figure(
        f"{TITLES[first.framework]}, {dialects.parse(first.call)[1]} by {first.grows}",
        (x_title, "time of a step (µs)"),
        traces,
        xaxis=figures.POWERS,
        yaxis=figures.POWERS,
    )


def _markers(columns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the marker of each implementation and mode: ours filled, natives open."""
    used = dict.fromkeys(IMPLEMENTATION_COLOURS, 0)
    markers = []
    for implementation, _ in columns:
        shape = SHAPES[used[implementation] % len(SHAPES)]
        used[implementation] += 1
        is_ours = implementation == "ours"
        marker = {
            "color": IMPLEMENTATION_COLOURS[implementation],
            "symbol": shape if is_ours else f"{shape}-open",
            "size": 10,
            "line": {"width": 0 if is_ours else 2},
        }
        markers.append(marker)
    return markers
