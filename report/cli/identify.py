"""``samestep identify``."""

from typing import Annotated

import typer

from .common import CONTESTANT_HELP, AsJson, Let, mistakes, print_assumptions


def identify(
    optimizer: Annotated[
        str,
        typer.Argument(
            metavar="OPTIMIZER", help=f"your own optimizer as module:factory, or {CONTESTANT_HELP}"
        ),
    ],
    let: Let = None,
    as_json: AsJson = False,
) -> None:
    """Which rule is this optimizer, with which hyperparameters? Found from its steps alone."""
    from samestep.parity.runners import specs
    from samestep.reference import dialects
    from samestep.report.terminal import identity

    with mistakes():
        spec = specs.read(*dialects.fill([optimizer], let or ()))
        print_assumptions(spec.assumptions)
        known = identity.identify(spec, as_json, typer.echo)
    raise typer.Exit(0 if known else 1)
