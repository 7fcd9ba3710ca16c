"""``samestep pair`` and ``samestep record``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .common import MISTAKE, AsJson, silence_tensorflow

Side = Literal["pytorch", "keras"]


def pair(
    first: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py", help="the pair, or the side of the reference; or its record (.npz)"
        ),
    ],
    second: Annotated[
        str | None, typer.Argument(metavar="[OTHER.py]", help="the other side, if it is elsewhere")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="training steps that are compared")] = 3,
    as_json: AsJson = False,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="a map of the variables: read it if it exists, else write it"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="write a page of the answer here")] = None,
    repro: Annotated[
        Path | None, typer.Option(help="write a script here that shows a layer's difference")
    ] = None,
    until_same: Annotated[
        bool, typer.Option("--until-same", help="exchange each cause and go on behind it")
    ] = False,
    reference: Annotated[
        Side | None, typer.Option(help="the side whose values are put in: pytorch unless recorded")
    ] = None,
) -> None:
    """Do a PyTorch model and a Keras model take the same training step? If not: where, and why."""
    silence_tensorflow()
    from samestep.report.terminal import pairs

    question = pairs.Question(first, second, steps, map_file, html, repro, until_same, reference)
    try:
        same = pairs.pair(question, as_json, typer.echo)
    except ValueError as error:
        raise _mistake(error) from None
    raise typer.Exit(0 if same else 1)


def record(
    file: Annotated[str, typer.Argument(metavar="FILE.py", help="the pair, or one side of it")],
    out: Annotated[Path, typer.Option(help="the record (.npz)")],
    side: Annotated[Side, typer.Option(help="the side that is recorded")] = "pytorch",
    steps: Annotated[int, typer.Option(min=1, help="training steps that are recorded")] = 3,
) -> None:
    """Record one side of a pair alone, for ``samestep pair a.npz OTHER.py``."""
    silence_tensorflow()
    from samestep.report.terminal import pairs

    try:
        pairs.record_side(file, side, steps, out)
    except ValueError as error:
        raise _mistake(error) from None
    typer.echo(f"wrote {out}")


def _mistake(error: ValueError) -> typer.Exit:
    """Print a user's mistake, below the traceback of their own code if it failed there."""
    from samestep.report.terminal import pairs

    text = pairs.traceback_of(error)
    if text:
        typer.echo(text.rstrip(), err=True)
    typer.echo(f"samestep: {error}", err=True)
    return typer.Exit(MISTAKE)
