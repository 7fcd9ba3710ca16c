"""What a person sees in the terminal: bars while runs go on, a short summary when they are done."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from samestep.frameworks.experiment.executor import Event
from samestep.frameworks.experiment.run import Run
from samestep.reference.dialects import Kind

from . import verdict

WIDE = 120  # columns, where there is no terminal to ask
SHORT = 10  # hexadecimal digits of a digest that are shown


def console(wide: int = WIDE) -> Console:
    """The console on standard output; where that is no terminal, one so many columns wide, and not 80."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=wide)


def label(run: Run) -> str:
    """A run in a few words."""
    return f"{verdict.TITLES[run.framework]} {run.arithmetic} {run.call}"


class Bars:
    """Listens to training: a bar for each run in progress and one for all. Without a terminal, a line for each run."""

    def __init__(self, screen: Console, runs: int) -> None:
        self.screen, self.runs, self.ended = screen, runs, 0
        self.rate_factors: dict[Run, float] = {}  # of the runs in progress: how much is done
        self.losses: dict[Run, float | None] = {}
        self.tasks: dict[Run, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            BarColumn(None, table_column=Column(ratio=2)),
            TextColumn("{task.fields[told]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=screen, expand=True, transient=True, disable=not screen.is_terminal,
        )  # fmt: skip
        self.whole = self.progress.add_task("[bold]all runs", total=runs, told=f"0/{runs}")

    def __enter__(self) -> "Bars":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        if event.outcome:
            self._end(event)
        elif event.step:
            self._go_on(event)
        else:
            self.tasks[event.run] = self.progress.add_task(label(event.run), total=None, told="starting")
        done = self.ended + sum(self.rate_factors.values())
        self.progress.update(self.whole, completed=done, told=f"{self.ended}/{self.runs} runs")

    def _go_on(self, event: Event) -> None:
        steps = event.steps or event.step
        self.rate_factors[event.run], self.losses[event.run] = event.step / steps, event.loss
        told = f"{event.step:,}/{steps:,}  loss {event.loss:.4f}"
        self.progress.update(self.tasks[event.run], total=steps, completed=event.step, told=told)

    def _end(self, event: Event) -> None:
        assert event.outcome
        self.ended += 1
        self.rate_factors.pop(event.run, None)
        self.progress.remove_task(self.tasks.pop(event.run))
        loss = self.losses.pop(event.run, None)
        if event.outcome.error:
            self.screen.print(Text(f"failed: {label(event.run)} {event.outcome.error}", style="red"))
        elif not self.screen.is_terminal:
            told = f"loss {loss:.4f}" if loss is not None else ""
            line = f"{self.ended:3}/{self.runs}  {label(event.run)}  {event.outcome.seconds:.1f} s  {told}"
            self.screen.print(Text(line.rstrip()))


def summary(content: dict[str, Any]) -> list[Text | Table]:
    """The verdict in words, and the digests of every call in every framework."""
    found = content["verdict"]
    lines: list[Text | Table] = [Text(found["headline"], style="bold green" if found["holds"] else "bold red")]
    lines += [Text(f"  {_mark(part['state'])} {part['words']}") for part in found["parts"]]
    lines += [Text(f"  {failure['what']}\n    {failure['message']}", style="red") for failure in content["failures"]]
    return [*lines, digests(content)]


def digests(content: dict[str, Any]) -> Table:
    """A row a call, a column a framework: the digest of all weights after the last step."""
    frameworks = content["asked"]["frameworks"]
    table = Table("lockstep training of", *(verdict.TITLES[f] for f in frameworks), "weights", box=None, pad_edge=False)
    for row in content["training"]:
        cells = []
        for framework in frameworks:
            digest, odd = row["digests"][framework], framework in row["odd"]
            cells.append(Text((digest or "none")[:SHORT], style="red" if odd else "green"))
        style = "green" if row["state"] == "equal" else "red"
        table.add_row(row["call"], *cells, Text(verdict.row_words(row), style=style))
    return table


def deviations(rows: Sequence[dict[str, Any]]) -> Table:
    """Each recorded deviation under its native and the versions it was measured on; no link or path is broken."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("native", Text(row["native"], style="bold"))
        for key in ("versions", "cause", "size", "link", "script"):
            table.add_row(key, Text(row[key] or "none known"))
        table.add_row("", "")
    return table


WORDS = {  # a relation of two calls: the word in the table, its colour
    "SAME": ("same", "green"), "OTHER": ("other", "green"), "CONSTANT": ("constant", "yellow"),
    "EACH_STEP": ("each step", "yellow"), "IMPOSSIBLE": ("no", "red"),
}  # fmt: skip


def legend() -> list[Text]:
    """What the words of ``relations`` mean."""
    return [Text(f"{word:>10}  {Kind[kind].value}", style=colour) for kind, (word, colour) in WORDS.items()]


def relations(matrix: dict[str, Any]) -> list[Table | Text]:
    """How the calls of one rule are said in every dialect: a row a call, a column a dialect, notes below."""
    table = Table(
        Column(matrix["rule"], overflow="fold"), *(Column(name, overflow="fold") for name in matrix["columns"]),
        box=None, pad_edge=False, title_justify="left",
    )  # fmt: skip
    before = ""
    for row in matrix["rows"]:
        table.add_section()
        cells = [_cell(row["cells"].get(name)) for name in matrix["columns"]]
        told, before = "" if row["dialect"] == before else f"{row['dialect']}\n", row["dialect"]
        table.add_row(Text(told, style="bold").append(f"  {row['call']}", style="not bold"), *cells)
    return [table, *(Text(f"{i:>4}  {note}", style="dim") for i, note in enumerate(matrix["notes"], start=1))]


def _cell(cell: dict[str, Any] | None) -> Text:
    if cell is None:
        return Text("")
    word, colour = WORDS[cell["kind"]]
    return Text(f"{word} {cell['note']}" if cell["note"] else word, style=colour)


def duration(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    return time.strftime("%-M min %-S s", time.gmtime(seconds)) if seconds >= 60 else f"{seconds:.0f} s"


def _mark(state: str) -> str:
    return {verdict.HOLDS: "ok", verdict.FAILS: "NO", verdict.LEFT_OUT: "--"}[state]
