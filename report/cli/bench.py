"""``samestep bench``."""

from pathlib import Path
from typing import Annotated

import typer

from samestep.parity.measure.cases import MATRIX, PLAIN

from .common import chosen_rules, mistakes, rules_help, split_names


def bench(
    rules: Annotated[list[str] | None, typer.Option(help=rules_help((*PLAIN, *MATRIX)))] = None,
    sizes: Annotated[
        list[str] | None, typer.Option(help="some of mnist, large, many; default: mnist")
    ] = None,
    threads: Annotated[int, typer.Option(help="threads of the frameworks")] = 1,
    quick: Annotated[
        bool, typer.Option(help="measure shorter; natives under torch.compile are left out")
    ] = False,
    training: Annotated[
        bool, typer.Option(help="measure epochs of training instead of steps")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="keep the measurements in this JSON file")
    ] = None,
) -> None:
    """Measure our steps against the frameworks' quickest, with an interval for each ratio."""
    with mistakes():
        from samestep.report.terminal import console, ratios

        if training and (rules or sizes or quick):
            raise ValueError(
                "training is measured as a whole, under Adam; "
                "leave out --rules, --sizes and --quick"
            )
        names = chosen_rules(rules, ratios.RULES)
        choice = ratios.Choice(names, split_names(sizes) or ("mnist",), threads, quick)
        measured = ratios.measure(
            choice.options(), out, ratios.TRAINING if training else ratios.STEPS
        )
        tables = [ratios.training(measured)] if training else ratios.tables(measured)
    screen = console.console(ratios.WIDE)
    for part in (ratios.heading(measured), *tables, ratios.legend(training)):
        screen.print(part, soft_wrap=not screen.is_terminal)
