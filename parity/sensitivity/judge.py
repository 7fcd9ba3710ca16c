"""The judge of mutants of ``samestep.reference``: each is planted in memory and must be caught.

A mutant is caught by the first of these that does not hold: the hyperparameters are those of
``truth.facts``; the corners of its module hold; each example of ``truth.examples`` is followed
within the rounding limits of the exact trajectory in 50 digits; the state is kept as it should be.
So is a mutant that raises an error or does not end.
"""

import contextlib
import gc
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.measure.wrong_rules import SHARED, PlantedPackage
from samestep.parity.truth import corners
from samestep.parity.truth.examples import Example, examples_of
from samestep.reference import RULES

from .generated import Mutant
from .mutants import mutants_of

PATIENCE = 0.5  # processor seconds that one check may take; all checks of a right rule take 0.1


@dataclass
class FileResult:
    """What became of the mutants of one file."""

    file: str
    mutants: int = 0
    caught: int = 0
    equivalent: int = 0
    survivors: list[str] = field(default_factory=list)  # neither caught nor marked
    wrongly_marked: list[str] = field(default_factory=list)  # marked as equivalent, but caught


class DoesNotEnd(Exception):
    """A check took longer than its processor time."""


def judge_file(file: str) -> FileResult:
    """Judge all mutants of a file, a path below the package such as ``reference/adam.py``."""
    result = FileResult(file)
    for mutant in mutants_of(file):
        complaint = complaint_about(mutant)
        result.mutants += 1
        result.caught += complaint is not None
        result.equivalent += mutant.mark is not None
        if mutant.mark is None and complaint is None:
            result.survivors.append(str(mutant))
        if mutant.mark is not None and complaint is not None:
            result.wrongly_marked.append(
                f"{mutant} is marked as equivalent ({mutant.mark.reason}), but {complaint}"
            )
    return result


def judge_files(files: Iterable[str]) -> dict[str, Any]:
    """Judge the mutants of several files; the result is what ``python -m
    samestep.parity.sensitivity`` writes.
    """
    begin = time.process_time()
    rows = [vars(judge_file(file)) for file in files]
    return {"rows": rows, "seconds": time.process_time() - begin}


def complaint_about(mutant: Mutant) -> str | None:
    """What catches the mutant, as a sentence; None if nothing does."""
    try:
        with _planted(mutant) as reference:
            return next(_complaints(reference, Path(mutant.patch.file).stem), None)
    except DoesNotEnd:
        return "it does not end"
    except Exception as error:
        return f"it raises {type(error).__name__}: {error}"


@contextlib.contextmanager
def _planted(mutant: Mutant) -> Iterator[corners.Reference]:
    """The reference package with the mutant planted, while it is judged. Warnings of mutants are
    nobody's concern.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with _limited_time():
            package = PlantedPackage(mutant.patch)
        try:
            yield corners.Reference(package.module)
        finally:
            package.remove()


def _complaints(reference: corners.Reference, module: str) -> Iterator[str]:
    """Everything that does not hold, lazily, what is quickly found out first."""
    names = [kind.__name__ for kind in RULES]
    if module not in SHARED:
        names = [name for name in names if name.lower() == module]
    if module in ("sums", "matrices"):  # the rules that use them stand last
        names.reverse()
    yield from _broken_facts(corners.CORNERS.get(module, ()), reference)
    for name in names:
        yield from _broken_facts([corners.hyperparameters], reference, name)
        yield from _broken_facts(corners.CORNERS.get(name, ()), reference)
    for name in names:
        for example in examples_of(name):
            yield from _departures(reference, example)
    for name in names:
        yield from _broken_facts([corners.states], reference, name)


def _broken_facts(
    functions: Iterable[Any], reference: corners.Reference, *names: str
) -> Iterator[str]:
    for function in functions:
        with _limited_time():
            broken = next((fact for fact in function(reference, *names) if not fact.holds), None)
        if broken:
            yield str(broken)


def _departures(reference: corners.Reference, example: Example) -> Iterator[str]:
    """A complaint if the rule leaves the exact trajectory of an example farther than rounding can
    explain.
    """
    truth, bounds = (
        example.truth,
        example.bounds,
    )  # outside of the time limit, as they are computed once
    with _limited_time():
        rule = reference.rule(type(example.rule).__name__)(**example.rule.to_dict())
        trajectory = run_tensor(rule, example.start, example.gradients, "float64", example.rates)
        verdict = judge_tensor(example.start, truth, trajectory, bounds)
    if not verdict.holds:
        yield f"{example.rule!r} leaves the truth: {verdict}"


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    """Raise DoesNotEnd after ``PATIENCE`` seconds of processor time. Only in the main thread, as
    signals are.

    Python drops an error that is raised while an object is destroyed, so the signal comes again,
    and other libraries' garbage is not collected meanwhile.
    """

    def stop(*_: object) -> None:
        raise DoesNotEnd

    before = signal.signal(signal.SIGVTALRM, stop)
    collected = gc.isenabled()
    gc.disable()
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collected:
            gc.enable()
