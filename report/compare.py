"""The answer of a comparison in lines that a person reads, in the order of the questions."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from samestep.parity.compare.trained import Training

from samestep.parity.compare import trained
from samestep.parity.compare.answer import DIFFERS, EQUAL, Answer
from samestep.parity.compare.answer import compare as answered
from samestep.parity.compare.difference import Difference
from samestep.parity.measure import trial as trials
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import contestants
from samestep.parity.runners.contestants import Contestant

from .verdict import TITLES

WORDS = {
    "start": "where the tensors start",
    "data": "the data",
    "forward": "the forward pass",
    "loss": "the loss",
    "gradient": "the gradient",
    "state": "the state",
    "update": "the update",
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is compared, on what."""

    a: str
    b: str
    gradients: Path | None
    dtype: str
    steps: int
    constant: bool
    repro: Path | None
    mnist: bool


def compare(asked: Asked, say: Callable[[str], None]) -> bool:
    """Compare and say the answer; whether the two are the same. ValueError for a user's mistake."""
    a, b = contestants.read(asked.a), contestants.read(asked.b)
    if asked.mnist:
        return _train(asked, a, b, say)
    trial = trials.read(asked.gradients) if asked.gradients else trials.designed((a.rule, b.rule), asked.steps)
    if asked.constant:
        trial = trial._replace(rate_factors=np.ones(trial.steps))
    answer = answered(a, b, trial, asked.dtype)
    for line in lines(asked.a, asked.b, answer, given(asked, trial)):
        say(line)
    _reproduce(asked, answer, say)
    return answer.same != DIFFERS


def _train(asked: Asked, a: Contestant, b: Contestant, say: Callable[[str], None]) -> bool:
    """The same on MNIST."""
    if asked.gradients or asked.constant or asked.dtype != "float32":
        raise ValueError(
            "--mnist trains in lockstep at each one's own rate: leave out --gradients, --constant, --dtype"
        )
    found = trained.train(a, b, asked.steps)
    for line in trained_lines(found):
        say(line)
    if found.optimizers:
        say("")
        say("their optimizers, on the same gradients:")
        for line in lines(asked.a, asked.b, found.optimizers, found.given):
            say(f"  {line}".rstrip())
    _reproduce(asked, found.optimizers, say)
    return found.same


def _reproduce(asked: Asked, answer: Answer | None, say: Callable[[str], None]) -> None:
    """Write the script, if one is wanted and there is a difference to show."""
    if not asked.repro:
        return
    say("")
    if not answer or not answer.write_script:
        say("no script is written: they are the same")
        return
    answer.write_script(asked.repro)
    say(f"{asked.repro} shows the first difference of positions by itself")


def trained_lines(found: Training) -> Iterator[str]:
    """Where two training runs part."""
    yield f"A in {TITLES[found.homes[0]]}, B in {TITLES[found.homes[1]]}: MNIST in lockstep, {found.steps} steps"
    yield ""
    if not found.first:
        yield "SAME: equal bits of data, forward pass, loss, gradient and weights at every step"
        return
    word = "SAME within rounding" if found.same else "DIFFERENT"
    yield f"{word}: other bits from step {found.first.step} on"
    yield from _first(found.first)
    yield ""
    yield "largest gap of two weights, as a share of the way that they went:"
    yield "  " + "  ".join(f"step {step}: {gap:.1e}" for step, gap in found.growth)


def given(asked: Asked, trial: Trial) -> str:
    """What both are given, in words."""
    source = f"the gradients of {asked.gradients}" if asked.gradients else "designed gradients"
    elements = sum(array.size for array in trial.start.values())
    shares = sorted(set(trial.rate_factors))
    rate = "its own learning rate" if shares == [1] else f"{shares[0]:g} to {shares[-1]:g} of its own learning rate"
    return f"{source}: {trial.steps} steps, {elements} elements, {asked.dtype}, each at {rate}"


def lines(a: str, b: str, answer: Answer, given: str) -> Iterator[str]:
    """Same or not; the first difference; how it grows; why; what to do."""
    yield f"A  {_meaning(a, answer.rules[0])}"
    yield f"B  {_meaning(b, answer.rules[1])}"
    yield f"on {given}"
    yield ""
    yield from _same(answer)
    if answer.first:
        yield from _first(answer.first)
    if answer.same != EQUAL:
        yield ""
        yield "distance, as a share of the path (limit):"
        yield "  " + "  ".join(f"step {step}: {gap:.1e} ({limit:.0e})" for step, gap, limit in answer.growth)
    for title, found in (("cause", [cause.words for cause in answer.causes]), ("remedy", answer.remedies)):
        for i, line in enumerate(found):
            if not i:
                yield ""
                yield f"{title}:"
            yield f"  {line}"


def _meaning(text: str, rule: str) -> str:
    return f"{text}  means {rule}" if rule and rule != text else text


def _same(answer: Answer) -> Iterator[str]:
    verdict = answer.verdict
    if answer.same == EQUAL:
        yield "SAME: equal bits at every step"
        return
    distance = f"distance {verdict.distance:.2g} of the path, limit {verdict.limit:.2g}"
    place = f"at step {verdict.step}, tensor {answer.tensor}"
    if answer.same == DIFFERS:
        yield f"DIFFERENT: {distance} {place}"
    else:
        yield f"SAME within rounding: {distance} {place}; first other bits at step {answer.bits}"
    yield f"  the limit is {answer.limit}"


def _first(first: Difference) -> Iterator[str]:
    seen = f", seen in the state {first.state}" if first.state else ""
    stage = f"the state {first.state}" if first.stage == "state" and first.state else f"{WORDS[first.stage]}{seen}"
    element = ", ".join(map(str, first.element))
    yield ""
    yield f"first difference: step {first.step}, tensor {first.tensor}, element [{element}], in {stage}"
    what = f"{first.state} " if first.state else ""
    yield f"  A {what}{first.values[0]!r}"
    yield f"  B {what}{first.values[1]!r}  ({first.ulps:.3g} ulps apart)"
    if first.reference:
        yield f"  reference {what}{first.reference}  ({first.source})"
