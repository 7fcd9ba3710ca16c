"""``samestep golden``."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import samestep
from samestep.frameworks import FRAMEWORKS

from .common import Cluster, Jobs, interruptible, mistakes, split_names

if TYPE_CHECKING:
    from samestep.frameworks.experiment.executor import Event

EPOCHS = 5


def golden(
    verify: Annotated[
        bool, typer.Option("--verify", help="compare with the recorded digests; write nothing")
    ] = False,
    add: Annotated[
        bool, typer.Option("--add", help="record only the cases that are not recorded yet")
    ] = False,
    xla: Annotated[
        bool, typer.Option("--xla", help="with --verify: TensorFlow alone, under XLA")
    ] = False,
    threads: Annotated[int, typer.Option(help="with --verify: threads of each run")] = 1,
    frameworks: Annotated[
        list[str] | None, typer.Option(help="with --verify: some of the frameworks; default: all")
    ] = None,
    epochs: Annotated[int, typer.Option(help="how often each run goes through MNIST")] = EPOCHS,
    jobs: Jobs = None,
    cluster: Cluster = None,
    out: Annotated[Path | None, typer.Option(help="keep the records in this folder")] = None,
) -> None:
    """Train every case in every framework and record the digests, if all frameworks agree."""
    from samestep.frameworks.experiment.run import writable
    from samestep.parity.lockstep import golden as digests

    if not verify:
        with mistakes():
            require_checkout()
    chosen = split_names(frameworks) or FRAMEWORKS
    if xla:
        chosen = ("tensorflow",)
    with mistakes(), interruptible(), tempfile.TemporaryDirectory() as folder:
        recorded = digests.load() if add else {}
        conditions = digests.Conditions(chosen if verify else FRAMEWORKS, epochs, threads, xla)
        runs = conditions.runs([call for call in digests.CALLS if call not in recorded])
        records = digests.train(
            runs,
            writable(out or Path(folder)),
            jobs=jobs,
            cluster=cluster,
            on_event=_print_end,
        )
        if verify:
            differences = digests.differing(records, digests.load())
            typer.echo(
                "\n".join(differences) or f"all {len(runs)} runs end with the recorded digests"
            )
            raise typer.Exit(1 if differences else 0)
        entries = {
            call: recorded.get(call) or digests.agreed(call, records) for call in digests.CALLS
        }
        digests.save(entries, epochs)
    typer.echo(f"{digests.FILE.name}: {len(entries)} cases recorded")


def require_checkout() -> None:
    """ValueError for an installed package: the recorded digests belong to the repository."""
    if samestep.checkout() is None:
        raise ValueError(
            "golden must record in a checkout, and this is an installed package; use --verify, "
            "or run python -m samestep.report.cli golden in the checkout"
        )


def _print_end(event: "Event") -> None:
    if event.outcome:
        error = event.outcome.error or ""
        typer.echo(f"{event.outcome.seconds:6.1f} s  {event.run.name} {error}".rstrip())
