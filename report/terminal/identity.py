"""``samestep identify``: which rule an optimizer is, in lines that a person reads or as JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from samestep.parity.identify import answer as identification
from samestep.parity.identify.answer import Identity
from samestep.parity.identify.judge import TrialResult
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners.specs import OptimizerSpec
from samestep.report.phrases import TITLES


def identify(spec: OptimizerSpec, as_json: bool, echo: Callable[[str], None]) -> bool:
    """Identify an optimizer and print what it is with ``echo``; return True if it is a known rule.

    ValueError for a user's mistake.
    """
    identity = identification.identify(spec)
    if as_json:
        echo(json.dumps(to_json(identity), indent=1))
    else:
        for line in lines(identity):
            echo(line)
    return identity.rule is not None


def to_json(identity: Identity) -> dict[str, Any]:
    """Return the answer as plain values that JSON can hold."""
    rule = identity.rule
    return {
        "text": identity.text,
        "home": identity.home,
        "rule": rule and repr(rule),
        "hyperparameters": rule and {"name": type(rule).__name__, **rule.to_dict()},
        "nearest": identity.nearest and repr(identity.nearest),
        "explanation": identity.explanation,
        "calls": identity.calls,
        "native": identity.native,
        "ignores_learning_rate": identity.ignores_learning_rate,
        "alike": [repr(rule) for rule in identity.indistinguishable],
        "deviations": identity.deviations,
        "trials": [_trial_to_json(result) for result in identity.results],
    }


def _trial_to_json(result: TrialResult) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "dtype": result.dtype,
        "steps": result.steps,
        "steps_taken": result.taken,
        "tensor": verdict.tensor,
        "holds": verdict.holds,
        "equal_bits": verdict.agreement is Agreement.EQUAL_BITS,
        "distance": verdict.distance,
        "limit": verdict.limit,
        "step": verdict.step,
        "element": verdict.element,
        "values": verdict.values,
    }


def lines(identity: Identity) -> Iterator[str]:
    """Return what it is, its calls, and how near.

    Or which rule is nearest, and where it leaves that one.
    """
    home = TITLES.get(identity.home, identity.home)
    if identity.rule is None:
        yield from _unknown(identity, home)
        return
    yield f"{identity.text} is {identity.rule!r}, in {home}"
    for dtype, cause in identity.deviations.items():
        yield f"  with a known deviation in {dtype}: {cause}"
    if identity.native and identity.beyond:
        dtypes = " and ".join(dict.fromkeys(result.dtype for result in identity.beyond))
        yield (
            f"  beyond the limit in {dtypes}, "
            f"but bit for bit the steps of the live {identity.native}"
        )
    yield ""
    yield "as a call:"
    for name, call in identity.calls.items():
        yield f"  {name:8} {call}"
    yield ""
    yield "hyperparameters:"
    for name, value in identity.rule.to_dict().items():
        if identity.rule.is_active(name):
            yield f"  {name} = {value!r}"
    yield ""
    yield from _distances(identity)
    yield from _indistinguishable(identity)


def _distances(identity: Identity) -> Iterator[str]:
    if identity.native:
        yield f"equal bits to {identity.native} at every step of every trial"
    yield "compared with the rule in NumPy, on gradients that were not used to find it:"
    for result in identity.results:
        verdict = result.verdict
        if verdict.agreement is Agreement.EQUAL_BITS:
            yield f"  {result.dtype}, {result.steps} steps: equal bits{_unjudged(result)}"
            continue
        yield (
            f"  {result.dtype}, {result.steps} steps: "
            f"distance {verdict.distance:.2g} of the path, limit {verdict.limit:.2g} "
            f"(step {verdict.step}, tensor {verdict.tensor})"
            f"{'' if verdict.holds else ': BEYOND'}{_unjudged(result)}"
        )


def _unjudged(result: TrialResult) -> str:
    """Which steps were not judged, as the end of a line; empty if all were."""
    if result.steps == result.taken:
        return ""
    return (
        f"; the steps from {result.steps + 1} to {result.taken} were not judged: rounding may lead "
        "anywhere there"
    )


def _indistinguishable(identity: Identity) -> Iterator[str]:
    if identity.indistinguishable:
        yield ""
        yield "it cannot be distinguished from:"
        for rule in identity.indistinguishable:
            yield f"  {rule!r}"


def _unknown(identity: Identity, home: str) -> Iterator[str]:
    yield f"{identity.text} is none of the known rules, in {home}"
    if identity.ignores_learning_rate:
        yield (
            "  it takes the same steps whatever its learning rate is set to, "
            "as with a schedule or a number of its own; a rule follows its rate: "
            "give it a constant one that can be set"
        )
    if identity.explanation:
        yield "  on the designed gradients it takes the steps of"
        yield f"  {identity.explanation}"
    if not identity.nearest or not identity.results:
        yield "  no rule comes near"
        return
    worst = max(identity.results, key=lambda result: result.verdict.excess)
    verdict = worst.verdict
    yield (
        f"  the nearest is {identity.nearest!r}: "
        f"distance {verdict.distance:.2g} of the path, limit {verdict.limit:.2g}"
    )
    yield (
        f"  it leaves it at step {verdict.step}, tensor {verdict.tensor}, "
        f"element {verdict.element}, in {worst.dtype}: "
        f"{verdict.values[1]!r} where the nearest has {verdict.values[0]!r}"
    )
