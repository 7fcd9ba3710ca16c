"""``samestep rules``."""

import typer

from samestep.reference import RULES, dialects


def rules() -> None:
    """List the rules, and the optimizers of PyTorch and Keras that are left out."""
    from samestep.report.dialect_tables import explained

    for rule in RULES:
        typer.echo(f"{rule.__name__:14}{explained(rule)[0]}")
    for name in ("pytorch", "keras"):
        for optimizer, reason in dialects.find(name).left_out.items():
            typer.echo(f"left out: {name}'s {optimizer}, since {reason}")
