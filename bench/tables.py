"""What the benchmarks say after their run: rule, mode, whose step, time and ratio, a row each."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

HEADINGS = ("rule", "framework", "device", "whose", "mode", "median", "ratio")
OF_STEPS = (
    "ratio: the median time to that of the framework's own optimizer as it is by default, "
    "PyTorch's for-loop and Keras' graph"
)
OF_EPOCHS = "ratio: the time of our epoch to that of the framework's tutorials, timed in turn"
USUAL = ("for-loop", "graph")  # the modes of the native that a ratio is to


class Measured(NamedTuple):
    """What a benchmark says of itself, and the median of its seconds."""

    facts: dict[str, Any]
    seconds: float

    @property
    def place(self) -> tuple[str, str, str]:
        """What its ratio is within: the rule, the framework, the device."""
        facts = self.facts
        return facts["rule"].partition("(")[0], facts["framework"], facts["device"]


def all_of(measured: Sequence[Measured]) -> Iterator[tuple[str, str, Iterator[str]]]:
    """Title, legend and lines of each table that has rows."""
    epochs = [each for each in measured if "arithmetic" in each.facts]
    steps = [each for each in measured if each not in epochs and "ratio" not in each.facts]
    if steps:
        yield "steps", OF_STEPS, lines([*of_steps(steps)])
    if epochs:
        yield "an epoch of 1,875 batches", OF_EPOCHS, lines([*of_epochs(epochs)])


def of_steps(measured: Sequence[Measured]) -> Iterator[tuple[str, ...]]:
    """A row for each timed step."""
    usual = {
        each.place: each.seconds
        for each in measured
        if each.facts["implementation"] == "native" and each.facts["mode"] in USUAL
    }
    for each in measured:
        yield (
            *each.place,
            each.facts["implementation"],
            each.facts["mode"],
            f"{each.seconds * 1e6:,.0f} us",
            f"{each.seconds / usual[each.place]:.2f}" if each.place in usual else "",
        )


def of_epochs(measured: Sequence[Measured]) -> Iterator[tuple[str, ...]]:
    """A row for each timed epoch."""
    for each in measured:
        usual = each.facts.get("usual") or each.facts
        yield (
            *each.place,
            f"ours, {each.facts['arithmetic']}",
            each.facts["mode"],
            f"{each.seconds:.2f} s",
            f"{usual['ratio']['value']:.2f} of {usual['native']}" if "ratio" in usual else "",
        )


def lines(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows below their headings, in columns."""
    table = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
