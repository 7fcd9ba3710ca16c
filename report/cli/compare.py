"""``samestep compare``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import CONTESTANT_HELP, Let, mistakes, print_assumptions


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
    let: Let = None,
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
    from samestep.parity.runners import specs
    from samestep.reference import dialects
    from samestep.report.terminal import comparison

    with mistakes():
        pasted = dialects.share_rate(*dialects.fill([first, second], let or ()))
        first, second = pasted.texts
        sides = (specs.read(first), specs.read(second))
        print_assumptions([*pasted.assumptions, *sides[0].assumptions, *sides[1].assumptions])
        question = comparison.Question(
            first, second, gradients, dtype, steps, constant, repro, mnist
        )
        same = comparison.compare(question, typer.echo)
    raise typer.Exit(0 if same else 1)
