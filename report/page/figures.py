"""The plots of training runs, and what all plots share: loss, accuracy, drift.

Colours of text and grid are the page's business: it knows whether it is dark.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samestep.report.content import (
    Agreement,
    Content,
    Drift,
    DriftPair,
    LossCurve,
    TrainingRow,
)
from samestep.report.phrases import TITLES, counted, titles

Figure = dict[str, Any]  # as plotly.js reads it
Trace = Any  # plotly.graph_objects.Scatter

# Okabe and Ito's colours, which colour-blind people can tell apart; red is kept for what is wrong.
ORANGE, BLUE, GREEN, GREY, PINK = "#e69f00", "#3b8fd6", "#009e73", "#8a8f98", "#b5679f"
COLOURS = {"pytorch": ORANGE, "keras": BLUE, "article": GREEN}  # of dialects
PAIR_COLOURS = {
    ("numpy", "pytorch"): ORANGE,
    ("numpy", "tensorflow"): BLUE,
    ("pytorch", "tensorflow"): PINK,
}
WIDTHS = {"pytorch": 4.5, "keras": 2, "article": 1.2}  # equal curves stay visible below each other
DASHES = {"numpy": "dot", "pytorch": "dash", "tensorflow": "solid"}
SYMBOLS = {"numpy": "diamond-open", "pytorch": "square-open", "tensorflow": "triangle-up-open"}
OWNERS = {
    "pytorch": "PyTorch's",
    "keras": "Keras'",
    "tf_keras": "Keras 2's",
    "tensorflow1": "TensorFlow 1's",
    "optax": "Optax'",
    "onnx": "ONNX'",
    "paper": "the paper's",
    "article": "the article's",
}
TICKS = {
    "tickvals": np.outer(10.0 ** np.arange(-6, 7), (1, 2, 5)).ravel().tolist(),
    "tickformat": "~g",
}
POWERS = {  # a logarithmic axis; plotly would enlarge the powers
    "type": "log",
    "exponentformat": "power",
    "dtick": 1,
    "tickangle": 0,
    "tickfont": {"size": 10},
}
MARGIN = {"l": 52, "r": 12, "t": 40, "b": 88}
ROUNDING = 2.0**-24  # half a unit in the last place of a float32 near 1


def call_of(dialect: str) -> str:
    """Return the name of a dialect's call in a legend."""
    return f"{OWNERS[dialect]} call"


def figure(title: str, axes: tuple[str, str], traces: Iterable[Trace], **layout: Any) -> Figure:
    """Return a figure as plain data: traces with a title, both axes and a legend below.

    ``layout`` are further settings of plotly's layout.
    """
    x_title, y_title = axes
    x_axis = {
        "title": {"text": x_title, "standoff": 8},
        "automargin": True,
        **layout.pop("xaxis", {}),
    }
    y_axis = {
        "title": {"text": y_title, "standoff": 6},
        "automargin": True,
        **layout.pop("yaxis", {}),
    }
    settings = {
        "template": "none",
        "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 15}},
        "xaxis": x_axis,
        "yaxis": y_axis,
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "showlegend": True,
        "margin": MARGIN,
        "height": 330,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        **layout,
    }
    plot: Figure = go.Figure(data=list(traces), layout=settings).to_plotly_json()
    return plot


def categories(names: Sequence[str]) -> dict[str, Any]:
    """Return an axis of names, the first on top."""
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(names),
        "autorange": "reversed",
    }


def log_range(values: Sequence[float | None]) -> list[float]:
    """Return the range of a logarithmic axis that shows all positive values with a little room."""
    positive = [value for value in values if value]
    return [
        math.log10(min(positive, default=0.1) / 1.3),
        math.log10(max(positive, default=1) * 1.3),
    ]


def losses(content: Content) -> list[Figure]:
    """Return a plot for each rule: the loss of each dialect's call.

    Frameworks with equal digests share one line.
    """
    values: list[float | None] = []
    for curve in content.loss:
        for line in curve.loss.values():
            values += line
    axis = {"type": "log", **TICKS, "range": log_range(values)}
    window = max(curve.window for curve in content.loss)
    axes = ("step (one batch of 32)", f"loss, mean of {counted(window, 'step')} (nats)")
    plots = []
    for rule in content.request.rules:
        traces = []
        for curve, row in zip(content.loss, content.training, strict=True):
            if curve.rule == rule:
                traces += _loss_traces(curve, row)
        plots.append(figure(f"{rule}: loss", axes, traces, yaxis=axis))
    return plots


def _loss_traces(curve: LossCurve, row: TrainingRow) -> list[Trace]:
    frameworks = _distinct_frameworks(row, list(curve.loss))
    traces = []
    for framework in frameworks:
        trace = go.Scatter(
            x=curve.steps,
            y=curve.loss[framework],
            mode="lines",
            name=_line_name(row, framework),
            line=_line(row, framework),
            hovertemplate="step %{x:,}: %{y:.4f}",
        )
        traces.append(trace)
    return traces


def _distinct_frameworks(row: TrainingRow, frameworks: list[str]) -> list[str]:
    """Return the frameworks that get a line of their own: one of them if all have the same bits."""
    return frameworks[:1] if row.agreement is Agreement.EQUAL else frameworks


def _line_name(row: TrainingRow, framework: str) -> str:
    name = call_of(row.dialect)
    return name if row.agreement is Agreement.EQUAL else f"{name}, {TITLES[framework]}"


def _line(row: TrainingRow, framework: str) -> dict[str, Any]:
    dash = "solid" if row.agreement is Agreement.EQUAL else DASHES[framework]
    return {"color": COLOURS[row.dialect], "width": WIDTHS[row.dialect], "dash": dash}


def accuracy(content: Content) -> Figure:
    """Return a plot of the share of test images that each trained network recognises."""
    epochs = 0
    for row in content.training:
        for accuracies in row.accuracy.values():
            epochs = max(epochs, len(accuracies or ()))
    when = "after the last step" if content.request.steps else f"after {counted(epochs, 'epoch')}"
    traces = [*_lockstep_accuracies(content.training), *_float32_accuracies(content.float32)]
    return figure(
        f"Accuracy {when}",
        ("test images recognised (%)", "rule"),
        traces,
        height=150 + 46 * len(content.request.rules),
        yaxis=categories(content.request.rules),
        margin=MARGIN | {"l": 76, "b": 104},
    )


def _lockstep_accuracies(rows: Sequence[TrainingRow]) -> list[Trace]:
    """Return the markers of each dialect: one for each different accuracy of a call."""
    traces = []
    for dialect, colour in COLOURS.items():
        points: set[tuple[str, float]] = set()
        for row in rows:
            if row.dialect == dialect:
                points.update((row.rule, each[-1]) for each in row.accuracy.values() if each)
        if points:
            marker = {"color": colour, "symbol": "circle", "size": 11}
            traces.append(
                _accuracy_markers(sorted(points), f"{call_of(dialect)}, lockstep", marker)
            )
    return traces


def _float32_accuracies(rows: Sequence[Drift]) -> list[Trace]:
    """Return an open marker for each framework: Keras' call in plain float32."""
    traces = []
    for framework, symbol in SYMBOLS.items():
        points = []
        for row in rows:
            accuracies = row.accuracy.get(framework)
            if accuracies:
                points.append((row.rule, accuracies[-1]))
        if points:
            marker = {"color": COLOURS["keras"], "symbol": symbol, "size": 10}
            name = f"{call_of('keras')}, float32, {TITLES[framework]}"
            traces.append(_accuracy_markers(points, name, marker))
    return traces


def _accuracy_markers(
    points: Sequence[tuple[str, float]], name: str, marker: dict[str, Any]
) -> Trace:
    return go.Scatter(
        x=[100 * share for _, share in points],
        y=[rule for rule, _ in points],
        mode="markers",
        name=name,
        marker=marker,
        hovertemplate="%{y}: %{x:.2f} %",
    )


def epochs(content: Content) -> list[Figure]:
    """Return a plot for each rule with the accuracy after each epoch.

    None where there was one epoch only.
    """
    axes = ("epoch", "test images recognised (%)")
    plots = []
    for rule in content.request.rules:
        traces = []
        for row in content.training:
            if row.rule == rule:
                traces += _epoch_traces(row)
        if traces:
            plots.append(figure(f"{rule}: accuracy", axes, traces, xaxis={"dtick": 1}))
    return plots


def _epoch_traces(row: TrainingRow) -> list[Trace]:
    lines = {
        framework: values
        for framework, values in row.accuracy.items()
        if values and len(values) > 1
    }
    traces = []
    for framework in _distinct_frameworks(row, list(lines)):
        values = lines[framework]
        trace = go.Scatter(
            x=list(range(1, len(values) + 1)),
            y=[100 * value for value in values],
            mode="lines+markers",
            name=_line_name(row, framework),
            line=_line(row, framework),
        )
        traces.append(trace)
    return traces


def drifts(content: Content) -> list[Figure]:
    """Return a plot for each rule: how far apart two frameworks' weights are in plain float32."""
    shares: list[float | None] = [ROUNDING]
    for row in content.float32:
        for pair in row.pairs:
            shares += pair.share
    axis = {**POWERS, "range": log_range(shares)}
    axes = ("step (one batch of 32)", "distance (share of the path)")
    plots = []
    for row in content.float32:
        steps = list(itertools.chain.from_iterable(pair.steps for pair in row.pairs))
        traces = [_drift_trace(pair) for pair in row.pairs]
        traces.append(_rounding_trace(min(steps, default=1), max(steps, default=1)))
        plot = figure(
            f"{row.rule}: drift in float32",
            axes,
            traces,
            xaxis=POWERS,
            yaxis=axis,
            height=390,
            margin=MARGIN | {"b": 140},
        )
        plots.append(plot)
    return plots


def _drift_trace(pair: DriftPair) -> Trace:
    points = [point for point in zip(pair.steps, pair.share, strict=True) if point[1]]
    return go.Scatter(
        x=[step for step, _ in points],
        y=[share for _, share in points],
        mode="lines+markers",
        name=titles(pair.frameworks),
        marker={"size": 5},
        line={"color": PAIR_COLOURS[pair.frameworks], "width": 1.8},
        hovertemplate="step %{x:,}: %{y:.2e}",
    )


def _rounding_trace(first: int, last: int) -> Trace:
    return go.Scatter(
        x=[first, last],
        y=[ROUNDING, ROUNDING],
        mode="lines",
        name="one float32 rounding (2⁻²⁴)",
        line={"color": GREY, "width": 1.2, "dash": "dot"},
    )
