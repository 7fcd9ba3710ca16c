"""The plots about optimizers by themselves: the natives' distances, and what a step costs."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from samestep.reference import dialects

from . import figures, verdict

TIMES = {"type": "log", **figures.TICKS, "tickformat": ",", "tickangle": 0, "tickfont": {"size": 10}}


def natives(content: dict[str, Any]) -> dict[str, Any]:
    """Every comparison of a native with its dialect, in units of its own limit, and the nearest wrong rules."""
    rows = content["natives"]["rows"]
    kinds = {
        "agrees": ("#009e73", "circle"), "deviates as recorded": ("#e69f00", "diamond"),
        "mended": ("#d7263d", "square"), "differs": ("#d7263d", "square"),
    }  # fmt: skip
    traces = [
        _natives(name, [(row, "distance") for row in rows if row["verdict"] == name], colour, symbol)
        for name, (colour, symbol) in kinds.items()
        if any(row["verdict"] == name for row in rows)
    ]
    names = list(dict.fromkeys(_native(row) for row in rows))
    wrong = _natives("nearest wrong rule", [(row, "nearest_wrong") for row in rows], "#8a8f98", "x-thin-open")
    limit = go.Scatter(
        x=[1, 1], y=[names[0], names[-1]] if names else [], mode="lines", name="limit", line={"color": "#8a8f98"}
    )
    return figures.figure(
        "Natives and wrong rules", "distance (multiples of its limit)", "optimizer", [*traces, wrong, limit],
        height=170 + 26 * len(names), xaxis=figures.POWERS | {"dtick": 4}, yaxis=figures.categories(names),
        margin=figures.MARGIN | {"l": 120, "b": 110},
    )  # fmt: skip


def _natives(name: str, rows: Sequence[tuple[dict[str, Any], str]], colour: str, symbol: str) -> Any:
    points = [(row, row[key] / row["limit"]) for row, key in rows if row[key] and row["limit"]]
    return go.Scatter(
        x=[times for _, times in points], y=[_native(row) for row, _ in points], mode="markers", name=name,
        text=[f"{row['call']}<br>{row['witness']}, {row['dtype']}" for row, _ in points],
        marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.75, "line": {"width": 1.5}},
        hovertemplate="%{text}<br>%{x:.2g} limits",
    )  # fmt: skip


def _native(row: dict[str, Any]) -> str:
    """Whose optimizer it is, and its name."""
    dialect, name, _ = dialects.parse(row["call"])
    return f"{figures.OWNERS[dialect]} {name}"


def speeds(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A plot for each framework and device: the median time of a step, ours filled, natives open."""
    return [_speed(table) for table in content["steps"]["rows"]]


def growth(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A plot for each framework and what grows: the median time of a step by the number of it."""
    rows = content["growth"]["rows"]
    plots = dict.fromkeys((row["framework"], row["grows"]) for row in rows)
    return [_growth([row for row in rows if (row["framework"], row["grows"]) == plot]) for plot in plots]


def _growth(curves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    markers = _markers([(curve["implementation"], curve["mode"]) for curve in curves])
    traces = [
        go.Scatter(
            x=curve["count"], y=[1e6 * seconds for seconds in curve["seconds"]], mode="lines+markers", marker=marker,
            name=f"{curve['implementation']} {curve['mode']}", line={"color": marker["color"], "width": 1.5},
            hovertemplate=f"%{{x:,}} {curve['grows']}: %{{y:,.0f}} µs",
        )
        for curve, marker in zip(curves, markers, strict=True)
    ]  # fmt: skip
    first = curves[0]
    axis = f"number of {first['grows']}" + (" of 1,000 parameters each" if first["grows"] == "tensors" else "")
    title = f"{verdict.TITLES[first['framework']]}, {dialects.parse(first['call'])[1]} by {first['grows']}"
    return figures.figure(title, axis, "time of a step (µs)", traces, xaxis=figures.POWERS, yaxis=figures.POWERS)


def _markers(columns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """How each implementation and mode is drawn: ours filled, natives open, a shape a mode."""
    symbols = ("circle", "square", "diamond", "triangle-up")
    colours = {"ours": "#009e73", "native": "#e69f00"}
    found, used = [], dict.fromkeys(colours, 0)
    for whose, _ in columns:
        symbol = symbols[used[whose] % len(symbols)] + ("" if whose == "ours" else "-open")
        used[whose] += 1
        found.append({"color": colours[whose], "symbol": symbol, "size": 10, "line": {"width": 2 * (whose != "ours")}})
    return found


def _speed(table: dict[str, Any]) -> dict[str, Any]:
    traces = []
    for (whose, mode), marker in zip(table["columns"], _markers(table["columns"]), strict=True):
        name = f"{whose} {mode}"
        points = [(row["rule"], row["seconds"][name]) for row in table["rows"] if name in row["seconds"]]
        x, y = [1e6 * seconds for _, seconds in points], [rule for rule, _ in points]
        traces.append(go.Scatter(x=x, y=y, mode="markers", name=name, marker=marker, hovertemplate="%{y}: %{x:.0f} µs"))
    title = f"{verdict.TITLES[table['framework']]}, {table['device']}"
    return figures.figure(
        title, "time of a step (µs)", "rule", traces, xaxis=TIMES,
        yaxis=figures.categories([row["rule"] for row in table["rows"]]), margin=figures.MARGIN | {"l": 76, "b": 96},
    )  # fmt: skip
