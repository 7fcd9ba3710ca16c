"""``samestep pair`` and ``samestep record``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .common import MISTAKE, AsJson, silence_tensorflow


def pair(
    first: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py", help="the pair, or its PyTorch side; or a record of that side (.npz)"
        ),
    ],
    second: Annotated[
        str | None, typer.Argument(metavar="[OTHER.py]", help="the Keras side, if it is elsewhere")
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
) -> None:
    """Do a PyTorch model and a Keras model take the same training step? If not: where, and why."""
    silence_tensorflow()
    from samestep.report.terminal import pairs

    question = pairs.Question(first, second, steps, map_file, html, repro, until_same)
    try:
        same = pairs.pair(question, as_json, typer.echo)
    except ValueError as error:
        raise _mistake(error) from None
    raise typer.Exit(0 if same else 1)


def record(
    file: Annotated[str, typer.Argument(metavar="FILE.py", help="the pair, or one side of it")],
    out: Annotated[Path, typer.Option(help="the record (.npz)")],
    side: Annotated[
        Literal["pytorch"], typer.Option(help="the side that is recorded: PyTorch")
    ] = "pytorch",
    steps: Annotated[int, typer.Option(min=1, help="training steps that are recorded")] = 3,
) -> None:
    """Record the PyTorch side of a pair alone, for ``samestep pair a.npz OTHER.py``."""
    from samestep.report.terminal import pairs

    try:
        pairs.record_side(file, steps, out)
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
