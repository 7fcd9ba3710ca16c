"""Did one call end with the same bits in every framework?

The answer comes from digests that are checked against the weights.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from samestep.reference import dialects

from .content import Agreement, TrainingRow
from .phrases import counted, titles
from .trained import TrainedRun


class Judged(NamedTuple):
    """The agreement of some runs, the first mark that differs, and the frameworks to blame."""

    agreement: Agreement
    first_difference: int | None
    disagreeing: list[str]


def training_row(rule: str, call: str, runs: Sequence[TrainedRun]) -> TrainingRow:
    """Compare the runs of one call, trained in lockstep in every framework."""
    judged = judge(runs)
    ended = [run for run in runs if run.record]
    marks: set[int] = set()
    for run in ended:
        marks |= run.digests.keys()
    checked = [run.record.order_dependent for run in ended if run.record]
    return TrainingRow(
        rule=rule,
        call=call,
        dialect=dialects.parse(call)[0],
        meaning=repr(dialects.read(call)),
        agreement=judged.agreement,
        first_difference=judged.first_difference,
        disagreeing=judged.disagreeing,
        message=describe(judged, len(marks)),
        marks=sorted(marks),
        steps=max((len(run.losses) for run in ended), default=0),
        weights=_number_of_weights(ended),
        digests={run.run.framework: _last_digest(run) for run in runs},
        accuracy={run.run.framework: run.accuracy for run in runs},
        order_dependent=next((number for number in checked if number is not None), None),
        commands={run.run.framework: run.command for run in runs},
    )


def judge(runs: Sequence[TrainedRun]) -> Judged:
    """Compare the digests of the runs at every mark."""
    missing = [run.run.framework for run in runs if not run.digests]
    if missing:
        return Judged(Agreement.MISSING, None, missing)
    if len(runs) < 2:
        return Judged(Agreement.MISSING, None, [])
    step = first_difference([run.digests for run in runs])
    altered = [run.run.framework for run in runs if not run.is_genuine()]
    if altered:
        return Judged(Agreement.ALTERED, step, altered)
    if step is None:
        return Judged(Agreement.EQUAL, None, [])
    return Judged(Agreement.DIFFERENT, step, _disagreeing(runs, step))


def first_difference(digests: Sequence[dict[int, str]]) -> int | None:
    """Return the first step at which not all have the same digest, None if there is none."""
    steps: set[int] = set()
    for by_step in digests:
        steps |= by_step.keys()
    for step in sorted(steps):
        if len({by_step.get(step) for by_step in digests}) > 1:
            return step
    return None


def describe(judged: Judged, marks: int) -> str:
    """Return the agreement in words."""
    frameworks = titles(judged.disagreeing)
    match judged.agreement:
        case Agreement.EQUAL:
            return f"equal at all {counted(marks, 'mark')}"
        case Agreement.DIFFERENT:
            return f"{frameworks}: different, first at the mark of step {judged.first_difference:,}"
        case Agreement.ALTERED:
            return f"{frameworks}: the record's digests are not those of its weights"
        case Agreement.MISSING:
            return f"{frameworks}: no record" if frameworks else "nothing to compare with"


def _disagreeing(runs: Sequence[TrainedRun], step: int) -> list[str]:
    """Return the frameworks that left the majority at that step.

    All of them if there is no majority.
    """
    votes = Counter(run.digests.get(step) for run in runs)
    digest, most = votes.most_common(1)[0]
    if 2 * most <= len(runs):
        return [run.run.framework for run in runs]
    return [run.run.framework for run in runs if run.digests.get(step) != digest]


def _last_digest(run: TrainedRun) -> str | None:
    return run.digests[max(run.digests)] if run.digests else None


def _number_of_weights(ended: Sequence[TrainedRun]) -> int:
    if not ended:
        return 0
    return max((array.size for array in ended[0].weights().values()), default=0)
