"""``samestep inspect``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import AsJson, mistakes, silence_tensorflow


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=".pt, .keras, .weights.h5, the prefix of a TensorFlow checkpoint, or a run file",
        ),
    ],
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="CALL",
            help='whose state it is, for files that do not say it, like "keras:Adam()"',
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """What is in a checkpoint, and what looks lost? Nothing in the file is executed."""
    silence_tensorflow()
    with mistakes():
        from samestep.migrate.port import inspection

        result = inspection.inspect(file, optimizer)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=1))
    else:
        for line in inspection.lines(result):
            typer.echo(line)
    raise typer.Exit(1 if result.lost else 0)
