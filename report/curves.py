"""The numbers behind the curves: loss along a run, and how far apart runs of the same call drift."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .content import Trained

POINTS = 75  # of a loss curve: each is the mean of equally many steps


def loss(rule: str, call: str, runs: "Sequence[Trained]") -> dict[str, Any]:
    """The loss of one call in every framework, a mean over equally many steps for each point."""
    lines = {t.run.framework: _means(t.record.losses) for t in runs if t.record}
    length = max((len(t.record.losses) for t in runs if t.record), default=0)
    window = _window(length)
    steps = [min(length, start + window) for start in range(0, length, window)]
    return {"rule": rule, "call": call, "window": window, "steps": steps, "loss": lines}


def drift(rule: str, call: str, runs: "Sequence[Trained]") -> dict[str, Any]:
    """How far apart plain float32 training drifts: at each mark, the distance as a share of the path travelled."""
    pairs = itertools.combinations([t for t in runs if t.record], 2)
    return {
        "rule": rule, "call": call,
        "pairs": [{"frameworks": [a.run.framework, b.run.framework], **_apart(a, b)} for a, b in pairs],
        "accuracy": {t.run.framework: [e["accuracy"] for e in t.record.epochs] if t.record else None for t in runs},
        "commands": {t.run.framework: t.command for t in runs},
    }  # fmt: skip


def _apart(a: "Trained", b: "Trained") -> dict[str, Any]:
    """Euclidean distance of all weights over the longer of the two paths."""
    paths = [{mark["step"]: mark["path"] for mark in t.record.marks} if t.record else {} for t in (a, b)]
    one, other = a.weights(), b.weights()
    steps = sorted(one.keys() & other.keys() & paths[0].keys() & paths[1].keys())
    shares = []
    for step in steps:
        gap = one[step].astype(np.float64) - other[step].astype(np.float64)
        path = max(paths[0][step], paths[1][step])
        shares.append(float(np.sqrt((gap * gap).sum())) / path if path else 0.0)
    return {"steps": steps, "share": shares}


def _window(length: int) -> int:
    return max(1, length // POINTS)


def _means(losses: Sequence[float]) -> list[float]:
    window = _window(len(losses))
    return [float(np.mean(losses[start : start + window])) for start in range(0, len(losses), window)]
