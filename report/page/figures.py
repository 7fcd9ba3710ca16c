"""The plots of training runs, and what all plots share: loss, accuracy, drift.

Colours of text and grid are the page's business: it knows whether it is dark.
"""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from . import verdict

COLOURS = {  # Okabe and Ito's, which colour-blind people can tell apart; red is kept for what is wrong
    "pytorch": "#e69f00", "keras": "#3b8fd6", "article": "#009e73", "numpy": "#8a8f98", "tensorflow": "#3b8fd6",
}  # fmt: skip
PAIRS = {
    ("numpy", "pytorch"): "#e69f00", ("numpy", "tensorflow"): "#3b8fd6", ("pytorch", "tensorflow"): "#b5679f",
}  # fmt: skip
WIDTHS = {"pytorch": 4.5, "keras": 2, "article": 1.2}  # equal curves stay visible under each other
DASHES = {"numpy": "dot", "pytorch": "dash", "tensorflow": "solid"}
OWNERS = {
    "pytorch": "PyTorch's", "keras": "Keras'", "tf_keras": "Keras 2's", "tensorflow1": "TensorFlow 1's",
    "optax": "Optax'", "onnx": "ONNX'", "paper": "the paper's", "article": "the article's",
}  # fmt: skip
WORDS = {dialect: f"{owner} call" for dialect, owner in OWNERS.items()}
TICKS = {"tickvals": [m * 10.0**k for k in range(-6, 7) for m in (1, 2, 5)], "tickformat": "~g"}
POWERS = {
    "type": "log",
    "exponentformat": "power",
    "dtick": 1,
    "tickangle": 0,
    "tickfont": {"size": 10},
}  # plotly enlarges powers
MARGIN = {"l": 52, "r": 12, "t": 40, "b": 88}
ROUNDING = 2.0**-24  # half a unit in the last place of a float32 near 1


def figure(title: str, x: str, y: str, traces: Sequence[Any], **layout: Any) -> dict[str, Any]:
    """A figure as plain data: traces with a title, axis titles and a legend below."""
    found = go.Figure(
        data=list(traces),
        layout={
            "template": "none", "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 15}},
            "xaxis": {"title": {"text": x, "standoff": 8}, "automargin": True, **layout.pop("xaxis", {})},
            "yaxis": {"title": {"text": y, "standoff": 6}, "automargin": True, **layout.pop("yaxis", {})},
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
            "showlegend": True, "margin": MARGIN, "height": 330,
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "hovermode": "closest", **layout,
        },
    )  # fmt: skip
    return found.to_plotly_json()


def losses(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A plot for each rule: the loss of each dialect's call. Frameworks with one digest share one line."""
    found, axis = [], {"type": "log", **TICKS, "range": span(_seen(content["loss"]))}
    for rule in content["asked"]["rules"]:
        traces = [
            trace
            for curve, row in zip(content["loss"], content["training"], strict=True)
            if curve["rule"] == rule
            for trace in _loss(curve, row)
        ]
        window = max(curve["window"] for curve in content["loss"])
        y = f"loss, mean of {verdict.counted(window, 'step')} (nats)"
        found.append(figure(f"{rule}: loss", "step (one batch of 32)", y, traces, yaxis=axis))
    return found


def _loss(curve: dict[str, Any], row: dict[str, Any]) -> list[Any]:
    colour, words = COLOURS[row["dialect"]], WORDS[row["dialect"]]
    equal = row["state"] == "equal"
    lines = list(curve["loss"].items())[:1] if equal else curve["loss"].items()
    return [
        go.Scatter(
            x=curve["steps"], y=values, mode="lines", name=words if equal else f"{words}, {verdict.TITLES[framework]}",
            line={"color": colour, "width": WIDTHS[row["dialect"]], "dash": "solid" if equal else DASHES[framework]},
            hovertemplate="step %{x:,}: %{y:.4f}",
        )
        for framework, values in lines
    ]  # fmt: skip


def _seen(curves: Sequence[dict[str, Any]]) -> list[float]:
    return [value for curve in curves for values in curve["loss"].values() for value in values if value]


def span(values: Sequence[float]) -> list[float]:
    """A logarithmic axis' range: all values with a little room, the same in every plot of a row."""
    return [math.log10(min(values, default=0.1) / 1.3), math.log10(max(values, default=1) * 1.3)]


def accuracy(content: dict[str, Any]) -> dict[str, Any]:
    """The share of test images that each trained network gets right."""
    epochs = max((len(a) for row in content["training"] for a in row["accuracy"].values() if a), default=0)
    when = f"after {verdict.counted(epochs, 'epoch')}" if not content["asked"]["steps"] else "after the last step"
    traces = [trace for dialect in WORDS for trace in _dots(content["training"], dialect)]
    traces += _float32(content["float32"])
    height = 150 + 46 * len(content["asked"]["rules"])
    return figure(
        f"Accuracy {when}", "test images recognised (%)", "rule", traces,
        height=height, yaxis=categories(content["asked"]["rules"]), margin=MARGIN | {"l": 76, "b": 104},
    )  # fmt: skip


def categories(names: Sequence[str]) -> dict[str, Any]:
    """An axis of names, the first on top."""
    return {"type": "category", "categoryorder": "array", "categoryarray": list(names), "autorange": "reversed"}


def _dots(rows: Sequence[dict[str, Any]], dialect: str) -> list[Any]:
    """Lockstep: one dot a call, or one a framework where they differ."""
    points = {
        (row["rule"], accuracies[-1])
        for row in rows
        for accuracies in row["accuracy"].values()
        if row["dialect"] == dialect and accuracies
    }
    if not points:
        return []
    return [_markers(sorted(points), f"{WORDS[dialect]}, lockstep", COLOURS[dialect], "circle", 11)]


def _float32(rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Keras' call in plain float32: an open mark for each framework."""
    symbols = {"numpy": "diamond-open", "pytorch": "square-open", "tensorflow": "triangle-up-open"}
    found = []
    for framework, symbol in symbols.items():
        points = [(row["rule"], a[-1]) for row in rows if (a := row["accuracy"].get(framework))]
        name = f"Keras' call, float32, {verdict.TITLES[framework]}"
        found += [_markers(points, name, COLOURS["keras"], symbol, 10)] if points else []
    return found


def _markers(points: Sequence[tuple[str, float]], name: str, colour: str, symbol: str, size: int) -> Any:
    return go.Scatter(
        x=[100 * share for _, share in points], y=[rule for rule, _ in points], mode="markers", name=name,
        marker={"color": colour, "symbol": symbol, "size": size}, hovertemplate="%{y}: %{x:.2f} %",
    )  # fmt: skip


def epochs(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A plot for each rule with the accuracy after each epoch; none where there was one epoch only."""
    found = []
    for rule in content["asked"]["rules"]:
        rows = [row for row in content["training"] if row["rule"] == rule]
        traces = [trace for row in rows for trace in _epochs(row)]
        if traces:
            found.append(figure(f"{rule}: accuracy", "epoch", "test images recognised (%)", traces, xaxis={"dtick": 1}))
    return found


def _epochs(row: dict[str, Any]) -> list[Any]:
    lines = [(framework, a) for framework, a in row["accuracy"].items() if a and len(a) > 1]
    equal = row["state"] == "equal"
    return [
        go.Scatter(
            x=list(range(1, len(values) + 1)), y=[100 * value for value in values], mode="lines+markers",
            name=WORDS[row["dialect"]] + ("" if equal else f", {verdict.TITLES[framework]}"),
            line={"color": COLOURS[row["dialect"]], "dash": "solid" if equal else DASHES[framework],
                  "width": WIDTHS[row["dialect"]]},
        )
        for framework, values in (lines[:1] if equal else lines)
    ]  # fmt: skip


def drifts(content: dict[str, Any]) -> list[dict[str, Any]]:
    """A plot for each rule: how far apart two frameworks' weights are in plain float32, as training goes on."""
    shares = [s for row in content["float32"] for pair in row["pairs"] for s in pair["share"] if s]
    found = []
    for row in content["float32"]:
        traces = [_drift(pair) for pair in row["pairs"]]
        steps = [step for pair in row["pairs"] for step in pair["steps"]]
        traces.append(_rounding(min(steps, default=1), max(steps, default=1)))
        found.append(
            figure(
                f"{row['rule']}: drift in float32", "step (one batch of 32)", "distance (share of the path)", traces,
                xaxis=POWERS, yaxis={**POWERS, "range": span([*shares, ROUNDING])},
                height=390, margin=MARGIN | {"b": 140},
            )
        )  # fmt: skip
    return found


def _drift(pair: dict[str, Any]) -> Any:
    points = [(step, share) for step, share in zip(pair["steps"], pair["share"], strict=True) if share]
    return go.Scatter(
        x=[step for step, _ in points], y=[share for _, share in points], mode="lines+markers",
        name=verdict.titles(pair["frameworks"]), marker={"size": 5},
        line={"color": PAIRS[tuple(pair["frameworks"])], "width": 1.8}, hovertemplate="step %{x:,}: %{y:.2e}",
    )  # fmt: skip


def _rounding(first: int, last: int) -> Any:
    line = {"color": "#8a8f98", "width": 1.2, "dash": "dot"}
    return go.Scatter(x=[first, last], y=[ROUNDING] * 2, mode="lines", name="one float32 rounding (2⁻²⁴)", line=line)
