"""``samestep identify``."""

from typing import Annotated

import typer

from .common import CONTESTANT_HELP, AsJson, mistakes


def identify(
    optimizer: Annotated[
        str,
        typer.Argument(
            metavar="OPTIMIZER", help=f"your own optimizer as module:factory, or {CONTESTANT_HELP}"
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Which rule is this optimizer, with which hyperparameters? Found from its steps alone."""
    from samestep.report.terminal import identity

    with mistakes():
        known = identity.identify(optimizer, as_json, typer.echo)
    raise typer.Exit(0 if known else 1)
