"""``samestep page``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import mistakes, require_installed


def page(
    out: Annotated[Path, typer.Argument(help="the folder of an earlier report")] = Path(
        "out/report"
    ),
) -> None:
    """Write the page again from the records of an earlier report."""
    with mistakes():
        require_installed((), for_the_page=True)
        from samestep.frameworks.experiment.run import writable
        from samestep.report import assemble
        from samestep.report.page import write

        content = assemble.build(out)
        writable(out)
    written = write(content, out)

    from samestep.report.phrases import duration
    from samestep.report.terminal import console, summary

    screen = console.console()
    for part in summary.summary(content):
        screen.print(part, soft_wrap=not screen.is_terminal)
    screen.print(f"took {duration(content.seconds)}; the page is {written}")
    raise typer.Exit(0 if content.verdict.holds else 1)
