"""The answer of a comparison in lines that a person reads."""

from collections.abc import Iterator
from typing import Any

from .compare import Comparison
from .limits import MOST_ROUNDINGS, Verdict
from .shared import TITLES

FLOAT32 = 2.0**29  # roundings of float64 in one of float32
SHOWN = 12  # attempts that are listed


def lines(comparison: Comparison) -> Iterator[str]:
    """The answer in lines."""
    plain = comparison.to_dict()
    facts = plain["facts"]
    yield (
        f"{TITLES[facts['reference']]}: {facts['parameters']:,} parameters; {len(plain['map'])} "
        f"variables of Keras mapped; {len(plain['free'])} steps"
    )
    yield ""
    for stage, counts in plain["stages"].items():
        if counts["compared"]:
            yield f"  {stage:24}{_stage_line(counts, facts['dtype'])}"
    yield ""
    yield from _verdict_lines(comparison)
    for cause in plain["causes"]:
        yield from _cause_lines(cause)
    for text in plain["notes"]:
        yield f"note: {text}"
    for text in plain["not_compared"]:
        yield f"not compared: {text}"
    for number, (a, b) in enumerate(comparison.free, 1):
        yield f"free running, step {number}: loss {a:.9g} in PyTorch, {b:.9g} in Keras"


def _stage_line(counts: dict[str, Any], dtype: str) -> str:
    most = MOST_ROUNDINGS[dtype]
    word = "same"
    if counts["below float32"]:
        word = "below float32"
    if counts["different"]:
        word = "DIFFERENT"
    line = f"{word:15}{counts['compared']:5} compared"
    if counts["different"]:
        line += f", {counts['different']} differ"
    elif counts["below float32"]:
        line += f", {counts['below float32']} by less than a rounding of float32"
    else:
        line += f", largest {counts['largest roundings']:.1f} of {most:.0f} roundings"
    return line


def _verdict_lines(comparison: Comparison) -> Iterator[str]:
    first = comparison.judgement.first
    if first is None:
        below = comparison.judgement.verdict is Verdict.BELOW
        yield (
            "SAME to within a rounding of float32; some values differ by less than that"
            if below
            else "SAME training step"
        )
        return
    size = f", {first.distance:.3g}" if first.distance < float("inf") else ""
    if first.roundings < float("inf"):
        unit = FLOAT32 if comparison.facts["dtype"] == "float64" else 1.0
        size += f" ({first.roundings / unit:.3g} roundings of float32)"
    yield f"DIFFERENT: {first.stage}, step {first.step}, {first.place}{size}"
    yield f"  {first.kind}{'; ' + first.note if first.note else ''}"


def _cause_lines(cause: dict[str, Any]) -> Iterator[str]:
    yield f"cause: {cause['text']}"
    if cause["tried"]:
        yield f"  tried: {'; '.join(cause['tried'][:SHOWN])}"
