"""The plots about optimizers by themselves: the natives' distances, and what a step costs."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from reference import dialects

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


def _speed(table: dict[str, Any]) -> dict[str, Any]:
    symbols = ("circle", "square", "diamond", "triangle-up")
    colours = {"ours": "#009e73", "native": "#e69f00"}
    traces, used = [], dict.fromkeys(colours, 0)
    for whose, mode in table["columns"]:
        name = f"{whose} {mode}"
        points = [(row["rule"], row["seconds"][name]) for row in table["rows"] if name in row["seconds"]]
        symbol = symbols[used[whose] % len(symbols)] + ("" if whose == "ours" else "-open")
        used[whose] += 1
        marker = {"color": colours[whose], "symbol": symbol, "size": 10, "line": {"width": 2 * (whose != "ours")}}
        x, y = [1e6 * seconds for _, seconds in points], [rule for rule, _ in points]
        traces.append(go.Scatter(x=x, y=y, mode="markers", name=name, marker=marker, hovertemplate="%{y}: %{x:.0f} µs"))
    title = f"{verdict.TITLES[table['framework']]}, {table['device']}"
    return figures.figure(
        title, "time of a step (µs)", "rule", traces, xaxis=TIMES,
        yaxis=figures.categories([row["rule"] for row in table["rows"]]), margin=figures.MARGIN | {"l": 76, "b": 96},
    )  # fmt: skip
