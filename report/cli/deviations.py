"""``samestep deviations``."""

import msgspec
import typer

from .common import AsJson


def deviations(as_json: AsJson = False) -> None:
    """List the known deviations of the frameworks' own optimizers, each with a script."""
    from samestep.report.deviations import recorded
    from samestep.report.terminal import console, summary

    rows = recorded()
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
        return
    screen = console.console()
    screen.print(summary.deviations(rows))
    screen.print(
        f"{len(rows)} deviations; run their scripts with: samestep reproduce [name of a script]"
    )
