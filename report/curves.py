"""The numbers behind the curves: the loss along a run, and the drift of equal calls."""

import itertools
from collections.abc import Sequence

import numpy as np

from .content import Drift, DriftPair, LossCurve
from .trained import TrainedRun

POINTS = 75  # of a loss curve: each is the mean of equally many steps


def loss(rule: str, call: str, runs: Sequence[TrainedRun]) -> LossCurve:
    """Return the loss of one call in every framework, averaged over equally many steps."""
    ended = [run for run in runs if run.record]
    length = max((len(run.losses) for run in ended), default=0)
    window = max(1, length // POINTS)
    steps = [min(length, start + window) for start in range(0, length, window)]
    return LossCurve(
        rule, call, window, steps, {run.run.framework: _means(run.losses) for run in ended}
    )


def _means(losses: Sequence[float]) -> list[float | None]:
    window = max(1, len(losses) // POINTS)
    return [
        float(np.mean(losses[start : start + window])) for start in range(0, len(losses), window)
    ]


def drift(rule: str, call: str, runs: Sequence[TrainedRun]) -> Drift:
    """Return how far plain float32 training drifts apart, for every two frameworks."""
    ended = [run for run in runs if run.record]
    return Drift(
        rule=rule,
        call=call,
        pairs=[_pair(first, second) for first, second in itertools.combinations(ended, 2)],
        accuracy={run.run.framework: run.accuracy for run in runs},
        commands={run.run.framework: run.command for run in runs},
    )


def _pair(first: TrainedRun, second: TrainedRun) -> DriftPair:
    """Return the distance of all weights over the longer of the two paths, at each mark.

    The distance is Euclidean, in float64.
    """
    weights = (first.weights(), second.weights())
    steps = sorted(weights[0].keys() & weights[1].keys() & first.paths.keys() & second.paths.keys())
    shares: list[float | None] = []
    for step in steps:
        gap = weights[0][step].astype(np.float64) - weights[1][step].astype(np.float64)
        path = max(first.paths[step], second.paths[step])
        shares.append(float(np.sqrt((gap * gap).sum())) / path if path else 0.0)
    return DriftPair((first.run.framework, second.run.framework), steps, shares)
