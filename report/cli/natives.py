"""``samestep natives``."""

from pathlib import Path
from typing import Annotated

import typer

from samestep.reference import RULES

from .common import interruptible, mistakes, silence_tensorflow, split_names


def natives(
    out: Annotated[Path | None, typer.Option(help="write all rows to this JSON file")] = None,
    call: Annotated[str | None, typer.Option(help="only natives of this call")] = None,
    mode: Annotated[
        str | None, typer.Option(help="only natives in this implementation or mode")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="only natives in float32, or in float64")
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            help=f"only natives that follow some of {', '.join(rule.__name__ for rule in RULES)}"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="steps of each trial")] = None,
) -> None:
    """Compare the frameworks' own optimizers with the rules that their dialects read."""
    silence_tensorflow()
    from samestep.parity.measure.nearest_wrong import STEPS
    from samestep.parity.natives import check

    with mistakes():
        selection = check.Selection(call, mode, dtype, split_names(rules))
    _, absent = check.installed()
    for dialect, reason in absent.items():
        typer.echo(f"{'left out':>20}  {dialect}: {reason}")
    with mistakes():
        chosen = check.select(selection)
    rows = []
    with interruptible():
        for number, case in enumerate(chosen, start=1):
            row = check.check(case, steps or STEPS)
            rows.append(row)
            line = f"{row.verdict:>20}  {row.native} {row.dtype} {row.call}: {row.place}"
            typer.echo(f"{number:4} of {len(chosen)}  {line}")
    if out:
        check.save(rows, absent, out)
    raise typer.Exit(0 if all(row.verdict.holds for row in rows) else 1)
