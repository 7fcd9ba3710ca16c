"""``samestep compare``: the answer in lines that a person reads, in the order of the questions."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from samestep.parity.compare import answer as comparison
from samestep.parity.compare import mnist_comparison
from samestep.parity.compare.answer import Answer, Growth
from samestep.parity.compare.difference import Difference
from samestep.parity.compare.mnist_comparison import MnistAnswer
from samestep.parity.measure import trial as trials
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import specs
from samestep.parity.runners.specs import OptimizerSpec
from samestep.report.phrases import TITLES

STAGES = {
    "start": "where the tensors start",
    "data": "the data",
    "forward": "the forward pass",
    "loss": "the loss",
    "gradient": "the gradient",
    "state": "the state",
    "update": "the update",
}


@dataclasses.dataclass(frozen=True)
class Question:
    """Which two optimizers are compared, as text, and on which gradients.

    ``gradients`` is a file of them, None for designed ones; ``constant`` keeps the learning rate as
    it is; ``repro`` is the path of a script to write; with ``mnist`` both are trained instead.
    """

    first: str
    second: str
    gradients: Path | None
    dtype: str
    steps: int
    constant: bool
    repro: Path | None
    mnist: bool


def compare(question: Question, echo: Callable[[str], None]) -> bool:
    """Compare two optimizers and print the answer with ``echo``.

    Return True if they take the same steps.

    ValueError for a user's mistake.
    """
    first = specs.read(question.first)
    second = specs.read(question.second)
    if question.mnist:
        return _train(question, first, second, echo)
    trial = _trial(question, first, second)
    answer = comparison.compare(first, second, trial, question.dtype)
    for line in answer_lines(question, answer, describe_trial(question, answer.trial)):
        echo(line)
    _write_script(question, answer, echo)
    return answer.agreement is not Agreement.DIFFERENT


def _trial(question: Question, first: OptimizerSpec, second: OptimizerSpec) -> Trial:
    if question.gradients:
        trial = trials.read(question.gradients)
    else:
        trial = trials.designed((first.rule, second.rule), question.steps)
    if question.constant:
        trial = trial.replace(rate_factors=np.ones(trial.steps))
    return trial


def _train(
    question: Question, first: OptimizerSpec, second: OptimizerSpec, echo: Callable[[str], None]
) -> bool:
    """Train both on MNIST and print where they differ."""
    if question.gradients or question.constant or question.dtype != "float32":
        raise ValueError(
            "--mnist trains in lockstep at each one's own rate: "
            "leave out --gradients, --constant, --dtype"
        )
    training = mnist_comparison.train(first, second, question.steps)
    for line in training_lines(training):
        echo(line)
    if training.optimizers:
        echo("")
        echo("their optimizers, on the same gradients:")
        for line in answer_lines(question, training.optimizers, training.gradients_text):
            echo(f"  {line}".rstrip())
    _write_script(question, training.optimizers, echo)
    return training.same


def _write_script(question: Question, answer: Answer | None, echo: Callable[[str], None]) -> None:
    """Write the script, if one is wanted and there is a difference to show."""
    if not question.repro:
        return
    echo("")
    if not answer or not answer.write_script:
        echo("no script is written: they are the same")
        return
    answer.write_script(question.repro)
    echo(f"{question.repro} shows the first difference of positions by itself")


def training_lines(training: MnistAnswer) -> Iterator[str]:
    """Return where two training runs differ."""
    first, second = (TITLES[home] for home in training.homes)
    yield f"A in {first}, B in {second}: MNIST in lockstep, {training.steps} steps"
    yield ""
    if not training.first:
        yield "SAME: equal bits of data, forward pass, loss, gradient and weights at every step"
        return
    title = "SAME within rounding" if training.same else "DIFFERENT"
    yield f"{title}: other bits from step {training.first.step} on"
    yield from _difference_lines(training.first)
    yield ""
    yield "largest gap of two weights, as a share of the path travelled:"
    yield "  " + "  ".join(f"step {step}: {gap:.1e}" for step, gap in training.growth)


def describe_trial(question: Question, trial: Trial) -> str:
    """Return in words which gradients both optimizers get."""
    source = (
        f"the gradients of {question.gradients}" if question.gradients else "designed gradients"
    )
    elements = sum(array.size for array in trial.start.values())
    factors = sorted(set(trial.rate_factors))
    rate = "its own learning rate"
    if factors != [1]:
        rate = f"{factors[0]:g} to {factors[-1]:g} of {rate}"
    text = f"{source}: {trial.steps} steps, {elements} elements, {question.dtype}, each at {rate}"
    return "\n   ".join([text, *trials.describe_shapes(trial)])


def answer_lines(question: Question, answer: Answer, gradients: str) -> Iterator[str]:
    """Return whether both are the same; the first difference; how it grows; why; and what to do."""
    yield f"A  {_meaning(question.first, answer.rules[0])}"
    yield f"B  {_meaning(question.second, answer.rules[1])}"
    yield f"on {gradients}"
    yield ""
    yield from _verdict_lines(answer)
    if answer.first:
        yield from _difference_lines(answer.first)
    if answer.agreement is not Agreement.EQUAL_BITS:
        growth = [_growth_text(row) for row in answer.growth]
        yield ""
        yield "distance, as a share of the path (limit):"
        yield "  " + "  ".join(growth)
    yield from _section("cause", [cause.text for cause in answer.causes])
    yield from _section("remedy", answer.remedies)


def _growth_text(row: Growth) -> str:
    if not np.isfinite(row.distance):
        return f"step {row.step}: not all numbers"
    return f"step {row.step}: {row.distance:.1e} ({row.limit:.0e})"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
    for line in lines:
        yield f"  {line}"


def _meaning(text: str, rule: str) -> str:
    line = " ".join(text.split())
    return f"{line}  means {rule}" if rule and rule != line else line


def _verdict_lines(answer: Answer) -> Iterator[str]:
    verdict = answer.verdict
    if answer.agreement is Agreement.EQUAL_BITS:
        yield "SAME: equal bits at every step"
        return
    distance = f"distance {verdict.distance:.2g} of the path, limit {verdict.limit:.2g}"
    if not np.isfinite(verdict.distance):
        distance = f"{verdict.values[0]!r} against {verdict.values[1]!r}"
    place = f"at step {verdict.step}, tensor {verdict.tensor}"
    if answer.agreement is Agreement.DIFFERENT:
        yield f"DIFFERENT: {distance} {place}"
    else:
        bits = f"first other bits at step {answer.first_other_bits}"
        yield f"SAME within rounding: {distance} {place}; {bits}"
    yield f"  the limit is {answer.limit_source}"


def _difference_lines(first: Difference) -> Iterator[str]:
    stage = STAGES[first.stage]
    if first.state:
        stage = (
            f"the state {first.state}"
            if first.stage == "state"
            else f"{stage}, seen in the state {first.state}"
        )
    element = ", ".join(map(str, first.element))
    name = f"{first.state} " if first.state else ""
    yield ""
    yield (
        f"first difference: step {first.step}, tensor {first.tensor}, element [{element}], "
        f"in {stage}"
    )
    yield f"  A {name}{first.values[0]!r}"
    gap = f"  ({first.ulps:.3g} ulps apart)" if np.isfinite(first.ulps) else ""
    yield f"  B {name}{first.values[1]!r}{gap}"
    if first.reference:
        yield f"  reference {name}{first.reference}  ({first.source})"
