"""The comparison of two contestants on one feed, from start to end."""

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from samestep.parity.measure import limits, trajectory

from . import cause, difference, remedy, repro
from .allowed import Allowed, pair
from .cause import Cause
from .contestants import Contestant
from .difference import Difference
from .feed import Feed
from .worker import Ran, ran

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
    verdict: trajectory.Verdict
    limit: str
    bits: int | None
    first: Difference | None
    growth: list[tuple[int, float, float]]
    causes: list[Cause]
    remedies: list[str]
    rules: tuple[str, str]
    write_script: Callable[[Path], None] | None = None


def compare(
    a: Contestant, b: Contestant, feed: Feed, dtype: str = "float32",
    run: Callable[[Contestant, Feed, str], Ran] = ran,
) -> Answer:  # fmt: skip
    """Run both, hold one to the other, and say where, why and what to do. ValueError if one cannot run.

    ``run`` is how a contestant runs: in a process of its own, unless a test knows better.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")

    def both(given: Feed) -> tuple[Ran, Ran]:
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda contestant: run(contestant, given, dtype), (a, b))
        return one, other

    one, other = both(feed)
    allowed = pair(one, other, feed, dtype, both)
    verdicts = {
        name: trajectory.compare(feed.start[name], one.account.thetas[name], other.account.thetas[name], bound)
        for name, bound in allowed.thetas.items()
    }
    tensor = max(verdicts, key=lambda name: _excess(verdicts[name]))
    bits = difference.bits(one.account, other.account)
    first = difference.first(one, other, allowed, feed, dtype)
    causes, remedies = [], []
    if first:
        causes = cause.find((a, one), (b, other), feed, dtype, max(first.step, 1))
        remedies = remedy.find((a, one), (b, other), feed, dtype)
        accused = next((found.stage for found in causes if found.equal and found.stage), "")
        first = first._replace(stage=accused or first.stage)
    same = DIFFERS if first else EQUAL if bits is None else WITHIN
    rules = repr(one.rule) if one.rule else "", repr(other.rule) if other.rule else ""
    return Answer(
        same, tensor, verdicts[tensor], allowed.words, bits, first, growth(one, other, allowed, feed), causes, remedies,
        rules, functools.partial(script, (a, one), (b, other), allowed, feed, dtype) if first else None,
    )  # fmt: skip


def script(
    one: tuple[Contestant, Ran], other: tuple[Contestant, Ran], allowed: Allowed, feed: Feed, dtype: str, path: Path
) -> None:
    """Write the script for the first difference of positions: state cannot be seen in all frameworks alike."""
    part = difference.first(one[1], other[1], allowed, feed, dtype, states=False)
    assert part
    if not part.step:
        raise ValueError("--repro shows steps that differ, and here the tensors differ before the first")
    limit = float(limits.SAFETY * allowed.thetas[part.tensor][(part.step - 1, *part.element)])
    repro.write(path, one, other, part, limit, feed, dtype)


def growth(one: Ran, other: Ran, allowed: Allowed, feed: Feed) -> list[tuple[int, float, float]]:
    """At steps 1, 2, 5, 10, ... and the last: the largest gap of any element, and the limit there, as shares of the
    path."""
    marks = sorted({m * 10**k for k in range(7) for m in (1, 2, 5) if m * 10**k < feed.steps} | {feed.steps})
    rows = []
    for mark in marks:
        found = []
        for name, bound in allowed.thetas.items():
            a, b = (went.account.thetas[name].astype(np.float64) for went in (one, other))
            gap, limit, _ = trajectory.held(a[mark - 1].ravel(), b[mark - 1].ravel(), bound[mark - 1].ravel())
            path = trajectory.paths(feed.start[name], np.nan_to_num(a[:mark]))[-1] or 1.0
            found.append((float(gap.max() / path), float(limit[np.argmax(gap)] / path)))
        rows.append((mark, *max(found)))
    return rows


def _excess(verdict: trajectory.Verdict) -> float:
    if not verdict.distance:
        return 0.0
    return verdict.distance / verdict.limit if verdict.limit else np.inf
