"""``samestep compare``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import CONTESTANT_HELP, mistakes


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=CONTESTANT_HELP)],
    second: Annotated[str, typer.Argument(metavar="B", help="the same")],
    gradients: Annotated[
        Path | None, typer.Option(help="a file of gradients (.npz), your own or recorded")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    mnist: Annotated[
        bool, typer.Option("--mnist", help="train both on MNIST, each in its framework")
    ] = False,
    steps: Annotated[
        int, typer.Option(min=1, help="steps on the designed gradients, or on MNIST")
    ] = 60,
    constant: Annotated[
        bool, typer.Option("--constant", help="keep the learning rate as it is")
    ] = False,
    repro: Annotated[
        Path | None, typer.Option(help="write a script here that shows the difference by itself")
    ] = None,
) -> None:
    """Do two optimizers take the same steps? If not: where, why, and what makes them equal."""
    from samestep.report.terminal import comparison

    with mistakes():
        question = comparison.Question(
            first, second, gradients, dtype, steps, constant, repro, mnist
        )
        same = comparison.compare(question, typer.echo)
    raise typer.Exit(0 if same else 1)
