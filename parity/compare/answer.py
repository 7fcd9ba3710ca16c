"""The comparison of two optimizers on one trial, from start to end."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from samestep.parity.measure.limits import SAFETY
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Agreement, Verdict, judge, measure_gaps, paths
from samestep.parity.runners.specs import OptimizerSpec
from samestep.parity.runners.worker import Workshops

from . import causes, difference, remedies, repro
from .causes import Cause
from .comparison import Comparison, Run, run_both
from .difference import Difference


@dataclasses.dataclass(frozen=True)
class Growth:
    """How far apart two trajectories are at a step (from 1): the largest distance, and the limit
    there, as shares of the path."""

    step: int
    distance: float
    limit: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came of a comparison.

    ``verdict`` is that of the tensor that comes closest to its limit; ``trial`` is what both were
    run on, without the shapes that one of them refuses; ``limit_source`` says where limits come
    from; ``first_other_bits`` is the first step after which any bit differs, None if
    none does; ``first`` is the first difference beyond the limit. ``rules`` are the rules that the
    two follow, as text. ``write_script`` writes a stand-alone script that shows the difference, and
    raises ValueError if it cannot; None if there is no difference.
    """

    agreement: Agreement
    verdict: Verdict
    trial: Trial
    limit_source: str
    first_other_bits: int | None
    first: Difference | None
    growth: list[Growth]
    causes: list[Cause]
    remedies: list[str]
    rules: tuple[str, str]
    write_script: Callable[[Path], None] | None = None


def compare(
    a: OptimizerSpec,
    b: OptimizerSpec,
    trial: Trial,
    dtype: str = "float32",
    run: Run | None = None,
) -> Answer:
    """Run both optimizers over the trial, compare them, and say where they differ, why and what to
    change.

    ``run`` is how an optimizer runs: each in a process of its own, unless a test knows better.
    ValueError if one cannot run.
    """
    if run is None:
        with Workshops() as workshops:
            return compare(a, b, trial, dtype, workshops.run_all)
    comparison = run_both(a, b, trial, dtype, run)
    trial = comparison.trial
    verdict = judge(trial, comparison.a.trajectory, comparison.b.trajectory, comparison.limits)
    bits = difference.first_other_bits(comparison)
    first = difference.first(comparison)
    found_causes: list[Cause] = []
    found_remedies: list[str] = []
    if first:
        findings = causes.find(comparison, run)
        found_causes = findings.causes
        found_remedies = remedies.find(comparison, findings)
        accused = next(
            (cause.stage for cause in found_causes if cause.explains and cause.stage), ""
        )
        first = first._replace(stage=accused or first.stage)
    return Answer(
        agreement=_agreement(first, bits),
        verdict=verdict,
        trial=trial,
        limit_source=comparison.limits.source,
        first_other_bits=bits,
        first=first,
        growth=growth(comparison),
        causes=found_causes,
        remedies=found_remedies,
        rules=(_label(comparison.a.rule), _label(comparison.b.rule)),
        write_script=functools.partial(write_script, comparison) if first else None,
    )


def _agreement(first: Difference | None, first_other_bits: int | None) -> Agreement:
    if first:
        return Agreement.DIFFERENT
    return Agreement.EQUAL_BITS if first_other_bits is None else Agreement.WITHIN_ROUNDING


def _label(rule: object) -> str:
    return repr(rule) if rule else ""


def write_script(comparison: Comparison, path: Path) -> None:
    """Write the script for the first difference of the tensors: state cannot be seen in all
    frameworks alike.
    """
    first = difference.first(comparison, states=False)
    if first is None or not first.step:
        raise ValueError(
            "--repro shows steps that differ, and here the tensors differ before the first"
        )
    bound = comparison.limits.thetas[first.tensor][(first.step - 1, *first.element)]
    repro.write(path, comparison, first, float(SAFETY * bound))


def growth(comparison: Comparison) -> list[Growth]:
    """The largest distance of any element at steps 1, 2, 5, 10, ... and the last."""
    steps = comparison.trial.steps
    marks = (m * 10**k for m, k in itertools.product((1, 2, 5), range(7)))
    before_last = {mark for mark in marks if mark < steps}
    return [_growth_at(comparison, mark) for mark in sorted(before_last | {steps})]


def _growth_at(comparison: Comparison, mark: int) -> Growth:
    rows = []
    for name, bound in comparison.limits.thetas.items():
        first = comparison.a.trajectory.thetas[name].astype(np.float64)
        second = comparison.b.trajectory.thetas[name].astype(np.float64)
        gaps = measure_gaps(
            first[mark - 1].ravel(), second[mark - 1].ravel(), bound[mark - 1].ravel()
        )
        path = paths(comparison.trial.start[name], np.nan_to_num(first[:mark]))[-1] or 1.0
        largest = np.argmax(gaps.gap)
        gap = gaps.gap[largest]
        infinite = not np.isfinite(gap) or (gap and not np.isfinite(path))
        with np.errstate(all="ignore"):
            share = float(gap / path)
            limit = float(np.nan_to_num(np.nan_to_num(gaps.limit[largest]) / path))
        rows.append(Growth(mark, np.inf if infinite else share, limit))
    return max(rows, key=lambda row: (row.distance, row.limit))
