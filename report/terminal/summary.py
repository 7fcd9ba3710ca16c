"""A short summary of a report, and the list of recorded deviations."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from samestep.report.content import Agreement, Content, Judgement, RecordedDeviation
from samestep.report.phrases import TITLES

SHORT = 10  # hexadecimal digits of a digest that are shown
MARKS = {Judgement.HOLDS: "ok", Judgement.FAILS: "NO", Judgement.LEFT_OUT: "--"}


def summary(content: Content) -> list[Text | Table]:
    """Return the verdict in sentences, and the digests of every call in every framework."""
    style = "bold green" if content.verdict.holds else "bold red"
    headline = Text(content.verdict.headline, style=style)
    parts = [Text(f"  {MARKS[part.judgement]} {part.message}") for part in content.verdict.parts]
    failures = [
        Text(f"  {failure.command}\n    {failure.message}", style="red")
        for failure in content.failures
    ]
    return [headline, *parts, *failures, digests(content)]


def digests(content: Content) -> Table:
    """Return a table of digests: a row for each call, a column for each framework."""
    frameworks = content.request.frameworks
    names = [TITLES[framework] for framework in frameworks]
    table = Table("lockstep training of", *names, "weights", box=None, pad_edge=False)
    for row in content.training:
        cells = []
        for framework in frameworks:
            style = "red" if framework in row.disagreeing else "green"
            cells.append(Text((row.digests[framework] or "none")[:SHORT], style=style))
        style = "green" if row.agreement is Agreement.EQUAL else "red"
        table.add_row(row.call, *cells, Text(row.message, style=style))
    return table


def deviations(rows: Sequence[RecordedDeviation]) -> Table:
    """Return each recorded deviation below its optimizer and versions.

    No link or path is broken.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("native", Text(row.native, style="bold"))
        for key in ("versions", "cause", "size", "link", "script"):
            table.add_row(key, Text(getattr(row, key) or "none known"))
        table.add_row("", "")
    return table
