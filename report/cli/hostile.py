"""``samestep hostile``."""

import itertools
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
        pairs = list(itertools.product(calls, difficult_gradients.CASES))
        for number, (call, case) in enumerate(pairs, start=1):
            row = difficult_gradients.measure(case, call)
            rows.append(row)
            typer.echo(f"{number:4} of {len(pairs)}  {row}")
    if out:
        difficult_gradients.save(rows, out)
    raise typer.Exit(0 if all(row.holds for row in rows) else 1)
