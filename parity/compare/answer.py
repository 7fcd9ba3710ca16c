"""The comparison of two contestants on one trial, from start to end."""

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from samestep.parity.measure import limits
from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.trial import Trial
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult, ran

from . import cause, difference, remedy, repro
from .allowed import Limits, pair
from .cause import Cause
from .difference import Difference

EQUAL, WITHIN, DIFFERS = "equal bits", "equal within rounding", "differ"
DTYPES = ("float32", "float64")


@dataclasses.dataclass(frozen=True)
class Answer:
    """``same`` is one of EQUAL, WITHIN and DIFFERS.

    ``verdict`` is that of the tensor that comes closest to its limit; ``limit`` says where limits come from; ``bits``
    is the first step with other bits; ``first`` the first difference beyond the limit. ``growth`` holds, at marks, the
    step, the largest distance as a share of the path, and the limit there. ``write_script`` writes a stand-alone script
    that shows a difference, and raises ValueError if it cannot.
    """

    same: str
    tensor: str
    verdict: verdicts.Verdict
    limit: str
    bits: int | None
    first: Difference | None
    growth: list[tuple[int, float, float]]
    causes: list[Cause]
    remedies: list[str]
    rules: tuple[str, str]
    write_script: Callable[[Path], None] | None = None


def compare(
    a: Contestant, b: Contestant, trial: Trial, dtype: str = "float32",
    run: Callable[[Contestant, Trial, str], RunResult] = ran,
) -> Answer:  # fmt: skip
    """Run both, hold one to the other, and say where, why and what to do. ValueError if one cannot run.

    ``run`` is how a contestant runs: in a process of its own, unless a test knows better.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")

    def both(given: Trial) -> tuple[RunResult, RunResult]:
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda contestant: run(contestant, given, dtype), (a, b))
        return one, other

    one, other = both(trial)
    allowed = pair(one, other, trial, dtype, both)
    by_tensor = {
        name: verdicts.compare(trial.start[name], one.trajectory.thetas[name], other.trajectory.thetas[name], bound)
        for name, bound in allowed.thetas.items()
    }
    tensor = max(by_tensor, key=lambda name: _excess(by_tensor[name]))
    bits = difference.bits(one.trajectory, other.trajectory)
    first = difference.first(one, other, allowed, trial, dtype)
    causes, remedies = [], []
    if first:
        causes = cause.find((a, one), (b, other), trial, dtype, max(first.step, 1))
        remedies = remedy.find((a, one), (b, other), trial, dtype)
        accused = next((found.stage for found in causes if found.equal and found.stage), "")
        first = first._replace(stage=accused or first.stage)
    same = DIFFERS if first else EQUAL if bits is None else WITHIN
    rules = repr(one.rule) if one.rule else "", repr(other.rule) if other.rule else ""
    return Answer(
        same, tensor, by_tensor[tensor], allowed.words, bits, first, growth(one, other, allowed, trial), causes, remedies,
        rules, functools.partial(script, (a, one), (b, other), allowed, trial, dtype) if first else None,
    )  # fmt: skip


def script(
    one: tuple[Contestant, RunResult],
    other: tuple[Contestant, RunResult],
    allowed: Limits,
    trial: Trial,
    dtype: str,
    path: Path,
) -> None:
    """Write the script for the first difference of positions: state cannot be seen in all frameworks alike."""
    part = difference.first(one[1], other[1], allowed, trial, dtype, states=False)
    assert part
    if not part.step:
        raise ValueError("--repro shows steps that differ, and here the tensors differ before the first")
    limit = float(limits.SAFETY * allowed.thetas[part.tensor][(part.step - 1, *part.element)])
    repro.write(path, one, other, part, limit, trial, dtype)


def growth(one: RunResult, other: RunResult, allowed: Limits, trial: Trial) -> list[tuple[int, float, float]]:
    """At steps 1, 2, 5, 10, ... and the last: the largest gap of any element, and the limit there, as shares of the
    path."""
    marks = sorted({m * 10**k for k in range(7) for m in (1, 2, 5) if m * 10**k < trial.steps} | {trial.steps})
    rows = []
    for mark in marks:
        found = []
        for name, bound in allowed.thetas.items():
            a, b = (went.trajectory.thetas[name].astype(np.float64) for went in (one, other))
            gap, limit, _ = verdicts.held(a[mark - 1].ravel(), b[mark - 1].ravel(), bound[mark - 1].ravel())
            path = verdicts.paths(trial.start[name], np.nan_to_num(a[:mark]))[-1] or 1.0
            found.append((float(gap.max() / path), float(limit[np.argmax(gap)] / path)))
        rows.append((mark, *max(found)))
    return rows


def _excess(verdict: verdicts.Verdict) -> float:
    if not verdict.distance:
        return 0.0
    return verdict.distance / verdict.limit if verdict.limit else np.inf
