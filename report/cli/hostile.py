"""``samestep hostile``."""

from pathlib import Path
from typing import Annotated

import typer

from samestep.parity.measure.cases import PLAIN

from .common import interruptible, mistakes, silence_tensorflow, split_names


def hostile(
    out: Annotated[Path | None, typer.Option(help="write all rows to this JSON file")] = None,
    rules: Annotated[
        list[str] | None, typer.Option(help=f"some of {', '.join(PLAIN)}; default: all")
    ] = None,
) -> None:
    """Run every rule on gradients that are missing, not finite, subnormal, huge or sparse."""
    silence_tensorflow()
    from samestep.parity.natives import hostile as difficult_gradients

    with mistakes():
        calls = difficult_gradients.calls(split_names(rules) or tuple(PLAIN))
    rows = []
    with interruptible():
        for call in calls:
            for case in difficult_gradients.CASES:
                row = difficult_gradients.measure(case, call)
                rows.append(row)
                typer.echo(row)
    if out:
        difficult_gradients.save(rows, out)
    raise typer.Exit(0 if all(row.holds for row in rows) else 1)
