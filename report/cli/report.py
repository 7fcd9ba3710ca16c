"""``samestep report``."""

import contextlib
import enum
from pathlib import Path
from typing import Annotated

import typer

from samestep.frameworks import FRAMEWORKS
from samestep.parity.measure.cases import PLAIN

from . import page
from .common import (
    Cluster,
    Data,
    Jobs,
    Steps,
    chosen_rules,
    interruptible,
    mistakes,
    require_installed,
    require_mnist,
    rules_help,
    split_names,
)


class Bench(enum.StrEnum):
    """How much is timed."""

    SHORT = "short"
    FULL = "full"


def report(
    epochs: Annotated[int, typer.Option(help="how often each run goes through MNIST")] = 1,
    out: Annotated[Path, typer.Option(help="the folder for the results")] = Path("out/report"),
    rules: Annotated[list[str] | None, typer.Option(help=rules_help(PLAIN))] = None,
    frameworks: Annotated[
        list[str] | None, typer.Option(help=f"some of {', '.join(FRAMEWORKS)}; default: all")
    ] = None,
    data: Data = None,
    steps: Steps = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
    natives: Annotated[bool, typer.Option(help="compare the frameworks' own optimizers")] = True,
    bench: Annotated[
        Bench, typer.Option(help="measure step times; full: and how they grow with the model")
    ] = Bench.SHORT,
    no_bench: Annotated[bool, typer.Option("--no-bench", help="measure no step times")] = False,
    sensitivity: Annotated[bool, typer.Option(help="plant wrong rules, in a checkout")] = True,
) -> None:
    """Train the rules in every framework, compare, and write the page."""
    with mistakes():
        from samestep.frameworks.experiment.run import writable
        from samestep.report import build
        from samestep.report.request import Request
        from samestep.report.terminal import console

        request = Request(
            rules=chosen_rules(rules),
            frameworks=split_names(frameworks) or FRAMEWORKS,
            epochs=epochs,
            steps=steps,
            data=data,
            natives=natives,
            bench=not no_bench,
            growth=bench is Bench.FULL and not no_bench,
            sensitivity=sensitivity,
        )
        require_installed(request.frameworks, for_the_page=True)
        require_mnist(data)
        writable(out)
    screen = console.console()
    # A cluster may be out of reach; without one, a ValueError is a fault of this program.
    usage_errors = mistakes() if cluster else contextlib.nullcontext()
    place = build.Place(jobs, cluster)
    with usage_errors, interruptible(), console.Bars(screen, len(request.runs())) as bars:
        build.run(request, out, place, bars, bars.show_part)
    page.page(out)
