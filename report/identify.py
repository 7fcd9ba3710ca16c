"""The identification of a black box in lines that a person reads, or as JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from samestep.parity.identify.answer import Identity
from samestep.parity.identify.answer import identify as identified
from samestep.parity.measure.verdict import Agreement
from samestep.parity.runners import contestants

from .verdict import TITLES


def identify(text: str, as_json: bool, say: Callable[[str], None]) -> bool:
    """Identify and say what it is; whether it is known. ValueError for a user's mistake."""
    found = identified(contestants.read(text))
    if as_json:
        say(json.dumps(told(found), indent=1))
    else:
        for line in lines(found):
            say(line)
    return found.rule is not None


def told(found: Identity) -> dict[str, Any]:
    """What was found, as JSON can hold it."""
    return {
        "text": found.text,
        "home": found.home,
        "rule": found.rule and repr(found.rule),
        "hyperparameters": found.rule and {"name": type(found.rule).__name__, **found.rule.to_dict()},
        "nearest": found.nearest and repr(found.nearest),
        "calls": found.calls,
        "native": found.native,
        "ignores_learning_rate": found.ignores_learning_rate,
        "alike": [repr(rule) for rule in found.indistinguishable],
        "deviations": found.deviations,
        "trials": [
            {
                "dtype": result.dtype, "steps": result.steps, "tensor": result.verdict.tensor, "holds": result.verdict.holds,
                "equal_bits": result.verdict.agreement is Agreement.EQUAL_BITS, "distance": result.verdict.distance, "limit": result.verdict.limit,
                "step": result.verdict.step, "element": result.verdict.element, "values": result.verdict.values,
            }
            for result in found.results
        ],
    }  # fmt: skip


def lines(found: Identity) -> Iterator[str]:
    """What it is; how to say it; how near; what cannot be told. Or what is nearest, and where it leaves."""
    home = TITLES.get(found.home, found.home)
    if found.rule is None:
        yield from _none(found, home)
        return
    yield f"{found.text} is {found.rule!r}, in {home}"
    for dtype, cause in found.deviations.items():
        yield f"  with a known deviation in {dtype}: {cause}"
    if found.native and found.beyond:
        dtypes = " and ".join(dict.fromkeys(result.dtype for result in found.beyond))
        yield f"  beyond the limit in {dtypes}, but bit for bit the steps of the live {found.native}"
    yield ""
    yield "as a call:"
    for name, call in found.calls.items():
        yield f"  {name:8} {call}"
    yield ""
    yield "hyperparameters:"
    for name, value in found.rule.to_dict().items():
        if found.rule.is_active(name):
            yield f"  {name} = {value!r}"
    yield ""
    yield from _nearness(found)
    yield from _untold(found)


def _nearness(found: Identity) -> Iterator[str]:
    if found.native:
        yield f"equal bits to {found.native} at every step of every trial"
    yield "held to the rule in NumPy, on gradients that did not propose it:"
    for result in found.results:
        if result.verdict.agreement is Agreement.EQUAL_BITS:
            yield f"  {result.dtype}, {result.steps} steps: equal bits"
        else:
            verdict = result.verdict
            yield (
                f"  {result.dtype}, {result.steps} steps: distance {verdict.distance:.2g} of the path, limit "
                f"{verdict.limit:.2g} (step {verdict.step}, tensor {result.verdict.tensor})"
                f"{'' if verdict.holds else ': BEYOND'}"
            )


def _untold(found: Identity) -> Iterator[str]:
    if found.indistinguishable:
        yield ""
        yield "cannot be told from:"
        for rule in found.indistinguishable:
            yield f"  {rule!r}"


def _none(found: Identity, home: str) -> Iterator[str]:
    yield f"{found.text} is none of mine, in {home}"
    if found.ignores_learning_rate:
        yield (
            "  it takes the same steps whatever its learning rate is set to, as with a schedule or a number of its "
            "own; a rule follows its rate: give it a constant one that can be set"
        )
    if not found.nearest or not found.results:
        yield "  nothing comes near"
        return
    worst = max(found.results, key=lambda result: result.verdict.excess)
    verdict = worst.verdict
    yield f"  the nearest is {found.nearest!r}: distance {verdict.distance:.2g} of the path, limit {verdict.limit:.2g}"
    yield (
        f"  it leaves it at step {verdict.step}, tensor {verdict.tensor}, element {verdict.element}, in {worst.dtype}: "
        f"{verdict.values[1]!r} where the nearest has {verdict.values[0]!r}"
    )
