"""The verdict of a report: whether each part holds, and its sentence for a stranger.

The sentences are made here and nowhere else: the terminal and the page only format them.
"""

from collections.abc import Sequence

from samestep.parity.natives.check import NativeVerdict
from samestep.parity.natives.hostile import NativeBehaviour

from .content import (
    Agreement,
    Failure,
    Hostile,
    Judgement,
    Natives,
    Results,
    Sensitivity,
    Verdict,
    VerdictPart,
)
from .dialect_tables import defaults_differ
from .phrases import counted, listed, titles
from .request import Ending, State


def judge(results: Results) -> Verdict:
    """Judge a report; it holds if no part of it fails."""
    parts = [
        _training(results),
        _runs(results.failures),
        _natives(results.natives),
        _hostile(results.hostile),
        _sensitivity(results.sensitivity),
        _times("step times", results.steps.ending),
        _times("step times as models grow", results.growth.ending),
    ]
    holds = not any(part.judgement is Judgement.FAILS for part in parts)
    return Verdict(
        holds=holds,
        headline=_headline(results, holds),
        parts=[part for part in parts if part.message],
        warning=_warning(defaults_differ(results.request.rules)),
    )


def _headline(results: Results, holds: bool) -> str:
    frameworks = results.request.frameworks
    agreements = {row.agreement for row in results.training}
    if Agreement.DIFFERENT in agreements:
        disagreeing: set[str] = set()
        for row in results.training:
            if row.agreement is Agreement.DIFFERENT:
                disagreeing.update(row.disagreeing)
        return _difference(frameworks, disagreeing)
    if Agreement.ALTERED in agreements:
        return "Not shown: a record contradicts itself."
    if agreements != {Agreement.EQUAL}:
        return "Not shown: a record is missing."
    compared = [framework for framework in frameworks if framework != "numpy"]
    names = titles(compared if len(frameworks) > 2 else frameworks)
    if not holds:
        return f"{names} take the same training step, but not every verdict of this report holds."
    return f"Yes: given the same rule, {names} take the same training step, to the last bit."


def _difference(frameworks: Sequence[str], disagreeing: set[str]) -> str:
    others = [framework for framework in frameworks if framework not in disagreeing]
    if not others:
        return f"No: {titles(frameworks)} did not take the same training steps."
    names = titles([framework for framework in frameworks if framework in disagreeing])
    return f"No: {names} did not take the same training steps as {titles(others)}."


def _warning(names: Sequence[str]) -> str:
    if not names:
        return ""
    verb = "mean" if len(names) > 1 else "means"
    return (
        "The same name can stand for two rules: called with default arguments, "
        f"{listed(names)} {verb} another rule in PyTorch than in Keras."
    )


def _training(results: Results) -> VerdictPart:
    rows = results.training
    calls = counted(len(rows), "call")
    wrong = [f"{row.call} ({row.message})" for row in rows if row.agreement is not Agreement.EQUAL]
    if wrong:
        message = f"{len(wrong)} of {calls} without equal digests: {'; '.join(wrong)}."
        return VerdictPart("training", Judgement.FAILS, message)
    rules = counted(len(results.dialects), "rule")
    steps = counted(max(row.steps for row in rows), "step")
    weights = max(row.weights for row in rows)
    message = (
        f"{calls} of {rules}, each trained for {steps} on MNIST in "
        f"{titles(results.request.frameworks)}: all {weights:,} weights have the same bits in all "
        "of them, at every mark."
    )
    return VerdictPart("training", Judgement.HOLDS, message)


def _runs(failures: Sequence[Failure]) -> VerdictPart:
    if not failures:
        return VerdictPart("runs", Judgement.HOLDS, "")
    message = f"{counted(len(failures), 'run')} left no record; the messages are below."
    return VerdictPart("runs", Judgement.FAILS, message)


def _natives(natives: Natives) -> VerdictPart:
    name = "natives"
    if natives.ending.state is not State.DONE:
        return _not_run(name, "The frameworks' own optimizers were not compared", natives.ending)
    rows = natives.rows
    comparisons = counted(len(rows), "comparison")
    differ = [row for row in rows if not row.verdict.holds]
    if differ or not rows:
        calls = listed(sorted({f"{row.call} in {row.native}" for row in differ}))
        message = (
            f"The frameworks' own optimizers: {len(differ)} of {comparisons} without a verdict "
            f"that holds: {calls}."
        )
        return VerdictPart(name, Judgement.FAILS, message)
    recorded = sum(row.verdict is not NativeVerdict.AGREES for row in rows)
    message = f"The frameworks' own optimizers follow their dialects in {comparisons}"
    if recorded:
        message += f", {recorded} of them with a recorded deviation within its recorded size"
    return VerdictPart(name, Judgement.HOLDS, f"{message}.")


def _hostile(hostile: Hostile) -> VerdictPart:
    name = "hostile gradients"
    if hostile.ending.state is not State.DONE:
        return _not_run(name, "Hostile gradients were not tried", hostile.ending)
    rows = hostile.rows
    trials = counted(len(rows), "trial")
    wrong = [f"{row.call} ({row.case})" for row in rows if not row.holds]
    if wrong or not rows:
        message = (
            f"Hostile gradients: {len(wrong)} of {trials} without the reference's bits: "
            f"{listed(wrong)}."
        )
        return VerdictPart(name, Judgement.FAILS, message)
    others = sum(row.native is not NativeBehaviour.SAME for row in rows)
    message = (
        f"On hostile gradients our optimizers have the reference's bits in {trials}; the "
        f"frameworks' own optimizers do otherwise, or refuse, in {others} of them."
    )
    return VerdictPart(name, Judgement.HOLDS, message)


def _sensitivity(sensitivity: Sensitivity) -> VerdictPart:
    name = "sensitivity"
    if sensitivity.ending.state is not State.DONE:
        return _not_run(name, "Wrong rules were not planted", sensitivity.ending)
    rows = sensitivity.rows
    mutants = sum(row.mutants for row in rows)
    caught = sum(row.caught for row in rows)
    equivalent = sum(row.equivalent for row in rows)
    survivors = sum(len(row.survivors) for row in rows)
    wrongly_marked = sum(len(row.wrongly_marked) for row in rows)
    message = f"{counted(mutants, 'wrong rule')} planted in this run: {caught:,} caught"
    if equivalent:
        message += f", {equivalent:,} marked as equivalent to the right rule"
    message += f", {survivors:,} not noticed" if survivors else ", none left over"
    if wrongly_marked:
        message += f"; {wrongly_marked:,} of the caught are wrongly marked as equivalent"
    holds = mutants > 0 and not survivors and not wrongly_marked
    return VerdictPart(name, Judgement.HOLDS if holds else Judgement.FAILS, f"{message}.")


def _times(name: str, ending: Ending) -> VerdictPart:
    """Times are shown and not judged; only a measurement that failed counts."""
    if ending.state is not State.DONE:
        return _not_run(name, f"{name.capitalize()} were not measured", ending)
    return VerdictPart(name, Judgement.HOLDS, "")


def _not_run(name: str, sentence: str, ending: Ending) -> VerdictPart:
    judgement = Judgement.FAILS if ending.state is State.FAILED else Judgement.LEFT_OUT
    lines = ending.message.splitlines() or ["it left no message"]
    return VerdictPart(name, judgement, f"{sentence}: {lines[-1].rstrip('.')}.")
