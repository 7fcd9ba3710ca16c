"""``samestep translate``."""

from typing import Annotated

import typer

from samestep.reference import RULES, dialects

from .common import Let, mistakes, print_assumptions


def translate(
    call: Annotated[
        str, typer.Argument(help='a call in one dialect, like "keras:Adam(learning_rate=0.001)"')
    ] = "",
    to: Annotated[
        str,
        typer.Option(
            help=f"the dialect to write it in: {', '.join(dialects.DIALECTS)}; keras for a call of "
            "PyTorch and pytorch for all others, unless it is given"
        ),
    ] = "",
    let: Let = None,
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix", help="show how all calls of all rules, or of the rule named, relate"
        ),
    ] = False,
) -> None:
    """Write a call in another dialect, or print how every two dialects relate."""
    with mistakes():
        if matrix:
            return _print_matrix(call)
        if not call:
            raise ValueError('translate must be given a call, like "keras:Adam()", or --matrix')
        (filled,) = dialects.fill([call], let or ())
        pasted = dialects.read_call(filled)
        target = to or ("keras" if pasted.dialect == "pytorch" else "pytorch")
        translation = dialects.translate(pasted, dialects.find(target))
    print_assumptions([*pasted.assumptions, *translation.assumptions])
    for line in translation.lines:
        typer.echo(line)
    for refusal in translation.refusals:
        typer.echo(refusal, err=True)
    if translation.refusals:
        raise typer.Exit(1)


def _print_matrix(name: str) -> None:
    """Print how the calls of one rule are written in every dialect; of all rules for ``""``."""
    from samestep.report import dialect_tables
    from samestep.report.terminal import console, relations

    names = [rule.__name__ for rule in RULES]
    if name and name not in names:
        raise ValueError(f"--matrix is of all rules or of one of {', '.join(names)}, got {name!r}")
    screen = console.console()
    for line in relations.legend():
        screen.print(line)
    for rule in [name] if name else names:
        screen.print()
        for part in relations.relations(dialect_tables.matrix(rule)):
            screen.print(part)
