"""``samestep train``."""

from pathlib import Path
from typing import Annotated

import typer

from samestep.frameworks import FRAMEWORKS
from samestep.reference import dialects

from .common import (
    Data,
    Let,
    Steps,
    interruptible,
    mistakes,
    print_assumptions,
    require_installed,
    require_mnist,
)


def train(
    call: Annotated[
        str, typer.Argument(help='what to train with, like "keras:Adam(learning_rate=0.001)"')
    ],
    framework: Annotated[str, typer.Option(help=f"one of {', '.join(FRAMEWORKS)}")],
    arithmetic: Annotated[str, typer.Option(help="lockstep, float32 or float64")] = "lockstep",
    epochs: Annotated[int, typer.Option(help="how often to go through MNIST")] = 1,
    steps: Steps = None,
    threads: Annotated[int, typer.Option(help="threads of the framework")] = 1,
    xla: Annotated[bool, typer.Option(help="the whole loop under XLA, in TensorFlow")] = False,
    compiled: Annotated[
        bool, typer.Option(help="each step compiled as a whole, in PyTorch")
    ] = False,
    data: Data = None,
    let: Let = None,
    out: Annotated[Path, typer.Option(help="the folder for the record")] = Path("out/records"),
) -> None:
    """Train once and write the record."""
    from samestep.frameworks.experiment.executor import train_all
    from samestep.frameworks.experiment.run import Run, writable
    from samestep.report.terminal import console

    with mistakes():
        (filled,) = dialects.fill([call], let or ())
        pasted = dialects.read_call(filled)
        print_assumptions([*pasted.assumptions, *pasted.left_out])
        run = Run(
            framework,
            dialects.in_one_line(filled, pasted),
            arithmetic,
            epochs=epochs,
            steps=steps,
            threads=threads,
            xla=xla,
            compiled=compiled,
            data=data,
        )
        require_installed((framework,))
        require_mnist(data)
        writable(out)
    with interruptible(), console.Bars(console.console(), 1) as bars:
        (outcome,) = train_all([run], out, on_event=bars)
    if outcome.error:
        raise typer.Exit(1)
    typer.echo(outcome.record)
