"""The console on standard output, and the progress of training runs and of a report's parts."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from samestep.frameworks.experiment.executor import Event, Outcome
from samestep.frameworks.experiment.run import Run
from samestep.report.phrases import TITLES
from samestep.report.programs import Progress as Part

WIDE = 120  # columns, where there is no terminal to ask


def console(width: int = WIDE) -> Console:
    """Return the console on standard output.

    Where that is no terminal, it is ``width`` columns wide, and not 80.
    """
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=width)


def label(run: Run) -> str:
    """Return a short name of a run."""
    return f"{TITLES[run.framework]} {run.arithmetic} {run.call}"


class Bars:
    """Shows the progress of training: a bar for each run in progress and one for all of them.

    Without a terminal it prints a line for each run that ends. It is a context, and is called with
    every event. ``show_part`` shows the parts of a report that come after the runs.
    """

    def __init__(self, screen: Console, runs: int) -> None:
        self.screen = screen
        self.runs = runs
        self.ended = 0
        self.shares: dict[Run, float] = {}  # of the runs in progress: how much is done
        self.losses: dict[Run, float | None] = {}
        self.tasks: dict[Run, TaskID] = {}
        self.parts: dict[str, TaskID] = {}  # in progress, by title
        narrow = Column(no_wrap=True)
        self.progress = Progress(
            TextColumn(
                "{task.description}",
                table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(None, table_column=Column(ratio=2)),
            TextColumn("{task.fields[status]}", table_column=narrow),
            TimeRemainingColumn(compact=True, table_column=narrow),
            console=screen,
            expand=True,
            transient=True,
            disable=not screen.is_terminal,
        )
        self.whole = self.progress.add_task("[bold]all runs", total=runs, status=f"0/{runs}")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event of a run."""
        if event.outcome:
            self._end(event.run, event.outcome)
        elif event.step:
            self._advance(event)
        else:
            task = self.progress.add_task(label(event.run), total=None, status="starting")
            self.tasks[event.run] = task
        done = self.ended + sum(self.shares.values())
        self.progress.update(self.whole, completed=done, status=f"{self.ended}/{self.runs} runs")

    def show_part(self, part: Part) -> None:
        """Show how far a part is, with the time left as soon as it has said how much it has to do.

        Without a terminal: that it begins.
        """
        if part.ended:
            self.progress.remove_task(self.parts.pop(part.title))
        elif part.title not in self.parts:
            self.progress.update(self.whole, visible=False)
            task = self.progress.add_task(part.title, total=None, status="starting")
            self.parts[part.title] = task
            if not self.screen.is_terminal:
                self.screen.print(f"now {part.title} ...", style="dim")
        else:
            self.progress.update(
                self.parts[part.title],
                total=part.total,
                completed=part.done,
                status=f"{part.done}/{part.total}",
            )

    def _advance(self, event: Event) -> None:
        steps = event.steps or event.step
        self.shares[event.run] = event.step / steps
        self.losses[event.run] = event.loss
        self.progress.update(
            self.tasks[event.run],
            total=steps,
            completed=event.step,
            status=f"{event.step:,}/{steps:,}  loss {event.loss:.4f}",
        )

    def _end(self, run: Run, outcome: Outcome) -> None:
        self.ended += 1
        self.shares.pop(run, None)
        self.progress.remove_task(self.tasks.pop(run))
        loss = self.losses.pop(run, None)
        if outcome.error:
            self.screen.print(Text(f"failed: {label(run)} {outcome.error}", style="red"))
        elif not self.screen.is_terminal:
            end = f"loss {loss:.4f}" if loss is not None else ""
            line = f"{self.ended:3}/{self.runs}  {label(run)}  {outcome.seconds:.1f} s  {end}"
            self.screen.print(Text(line.rstrip()))
