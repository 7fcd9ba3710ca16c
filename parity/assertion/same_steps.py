"""For other people's tests: hold an optimizer of theirs to a rule, to a call as text, or to another optimizer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure import nearest_wrong
from samestep.parity.measure import verdict as verdicts
from samestep.parity.measure.streams import PATTERNS
from samestep.parity.runners import yours as subjects
from samestep.parity.runners.yours import Subject
from samestep.reference import Rule, dialects

from . import expected as standards
from . import explain as causes
from .expected import Standard

DTYPES = ("float32", "float64")
STREAMS = tuple(PATTERNS)
SHOWN = 4  # places that a message tells of


class Place(NamedTuple):
    """Where a run was first beyond its limit."""

    stream: str
    dtype: str
    mode: str
    verdict: verdicts.Verdict

    def __str__(self) -> str:
        return f"stream {self.stream}, {self.dtype}, {self.mode}: first {self.verdict}"


def assert_same_steps(
    optimizer: Any, expected: Any, *, dtypes: Sequence[str] = DTYPES, streams: Sequence[str] = STREAMS,
    schedule: bool = True,
) -> None:  # fmt: skip
    """Assert that an optimizer takes the expected steps, to within a limit that is derived from rounding alone.

    ``optimizer`` is a function of the parameters (PyTorch), a function of nothing (Keras), or a Keras optimizer, which
    is made anew for every trial; ``expected`` is a rule, a call as text such as ``"keras:Adam(learning_rate=1e-3)"``,
    or another optimizer. Each stream of gradients goes to a tensor of its own, sixty steps in each of ``dtypes``
    ("float32", "float64"); the learning rate falls on the way unless ``schedule`` is off. Keras runs eagerly and in a
    graph.

    AssertionError says where the steps first part, in which stream, dtype, step and element, both values, the distance
    and the limit as shares of the path, and what does take those steps, if that is known. A limit that would let the
    nearest wrong rule through is an AssertionError, too, and so is writing to a gradient. ValueError if an argument is
    none of these.
    """
    _known("dtypes", dtypes, DTYPES)
    _known("streams", streams, STREAMS)
    subject = subjects.of(optimizer)
    standard = _standard(expected, streams, schedule)
    wrong = standard.nearest_wrong(dtypes)
    beyond = [place for dtype in dtypes for place in _beyond(subject, standard, dtype)]
    if beyond:
        raise AssertionError("\n".join(_told(subject, standard, beyond, wrong)))
    if wrong is None or not wrong.kept_out:
        raise AssertionError(_nothing_shown(subject, standard, wrong, dtypes))


def _standard(expected: Any, chosen: Sequence[str], schedule: bool) -> Standard:
    if isinstance(expected, str):
        expected = dialects.read(expected)
    if isinstance(expected, Rule):
        return standards.by_rule(expected, tuple(chosen), schedule)
    return standards.by_optimizer(subjects.of(expected), chosen, schedule)


def _beyond(subject: Subject, standard: Standard, dtype: str) -> Iterator[Place]:
    """Each tensor and mode that goes beyond its limit."""
    for mode in subject.framework.MODES:
        went = _run(subject, standard, dtype, mode)
        for index, tensor in enumerate(standard.tensors):
            verdict = first_beyond(tensor.start, *standard.courses(dtype)[index], went[index])
            if verdict:
                yield Place(tensor.stream, dtype, mode, verdict)


def _run(subject: Subject, standard: Standard, dtype: str, mode: str) -> list[np.ndarray]:
    starts, gradients = [t.start for t in standard.tensors], [t.gradients for t in standard.tensors]
    return subject.run(starts, gradients, standard.factors, dtype, mode)


def first_beyond(
    start: np.ndarray, expected: np.ndarray, bounds: np.ndarray, actual: np.ndarray
) -> verdicts.Verdict | None:
    """The verdict at the first step that goes beyond its limit, None if none does."""
    if verdicts.compare(start, expected, actual, bounds).holds:
        return None
    partial = (verdicts.compare(start, expected[:n], actual[:n], bounds[:n]) for n in range(1, len(expected) + 1))
    return next(verdict for verdict in partial if not verdict.holds)


def _told(
    subject: Subject, standard: Standard, beyond: list[Place], wrong: nearest_wrong.Wrong | None
) -> Iterator[str]:
    """The message, line by line."""
    name = f"{subject.name} ({subject.framework.TITLE})"
    yield f"{name} does not take the steps of {standard.name}; expected against got:"
    yield from (f"  {place}" for place in beyond[:SHOWN])
    if len(beyond) > SHOWN:
        yield f"  and {len(beyond) - SHOWN} more"
    if wrong:
        word = "kept out" if wrong.kept_out else "NOT kept out"
        yield f"The nearest wrong rule ({wrong.name}) is {wrong.distance:.3g} of the path away and {word}."
    yield from _why(subject, standard, beyond[-1])


def _why(subject: Subject, standard: Standard, place: Place) -> Iterator[str]:
    """What it does instead, judged in the dtype and mode of one place."""
    rate = subject.rate()
    if standard.rule and rate is not None and np.float32(rate) != np.float32(standard.rule.lr):
        yield f"Its learning rate is {rate!r} where {standard.rule.lr!r} is expected."
    if len(standard.tensors) > 1 and all(_alone(subject, standard, k, place) for k in range(len(standard.tensors))):
        yield "With one tensor at a time the steps are right: state, or the count of steps, is shared between tensors."
        return
    lr = rate if rate is not None else standard.rule.lr if standard.rule else 1.0
    courses = standard.courses(place.dtype)
    suspects = causes.of_rule(standard.rule, standard.factors, place.dtype) if standard.rule else []
    suspects += causes.known(lr, standard.factors)
    ways = {subject.name: _run(subject, standard, place.dtype, place.mode)}
    if not standard.rule:
        ways[f"{standard.name}, which is expected"] = [expected for expected, _ in courses]
    for name, went in ways.items():
        found = causes.nearest(suspects, standard.tensors, went, courses, place.dtype)
        if found and found.fits:
            yield f"{name}: it takes the steps of {found.words}."
        elif found:
            away = f"{found.distance:.3g} of the path away"
            yield f"{name}: nothing known takes its steps; the nearest, {away}: {found.words}."


def _alone(subject: Subject, standard: Standard, index: int, place: Place) -> bool:
    """Whether it takes the right steps with this tensor and no other."""
    tensor, (expected, bounds) = standard.tensors[index], standard.courses(place.dtype)[index]
    (went,) = subject.run([tensor.start], [tensor.gradients], standard.factors, place.dtype, place.mode)
    return verdicts.compare(tensor.start, expected, went, bounds).holds


def _nothing_shown(
    subject: Subject, standard: Standard, wrong: nearest_wrong.Wrong | None, dtypes: Sequence[str]
) -> str:
    shown = (
        f"{subject.name} stays within the limit of {standard.name}, but this shows nothing: in {' and '.join(dtypes)} "
    )
    if wrong is None:
        return shown + "nothing that is wrong on purpose can be told from it; try all streams and dtypes"
    return shown + (
        f"the limit {wrong.limit:.3g} lets a wrong rule through ({wrong.name}), {wrong.distance:.3g} of the path away; "
        "try all streams and dtypes, or hyperparameters that make a difference"
    )


def _known(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    if isinstance(given, str) or not given or not set(given) <= set(known):
        raise ValueError(f"{what} must be some of {', '.join(known)}, got {given!r}")
