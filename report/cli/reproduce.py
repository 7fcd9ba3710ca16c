"""``samestep reproduce``."""

from typing import Annotated

import typer

from .common import interruptible, mistakes


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="names of scripts, as samestep deviations lists them; default: all",
        ),
    ] = None,
) -> None:
    """Run the scripts that show the recorded deviations; exit code 0 if all deviate as recorded."""
    from samestep.parity.natives import reproduce as reproductions

    with mistakes():
        chosen = reproductions.select(names or [])
    holds = True
    with interruptible():
        for finding in reproductions.run_all(chosen):
            holds = holds and finding.holds
            typer.echo(f"{finding.verdict:>20}  {finding.name}: {finding.message}")
    raise typer.Exit(0 if holds else 1)
