"""The command line: ``samestep report`` and the commands around it, one file for each.

A user's mistake ends a command with exit code 2 and one line. Exit code 1 means that a verdict does
not hold. The libraries that a command needs are imported when it runs, so that ``--help`` is quick.
"""

import signal
import sys

try:
    import msgspec  # noqa: F401  the commands need these three
    import rich  # noqa: F401
    import typer
except ModuleNotFoundError as missing:
    print(
        f"samestep: {missing.name} is not installed; pip install 'samestep[report]'",
        file=sys.stderr,
    )
    raise SystemExit(2) from missing

from . import (
    bench,
    compare,
    deviations,
    golden,
    hostile,
    identify,
    inspect,
    natives,
    page,
    pair,
    report,
    reproduce,
    resume,
    rules,
    train,
    translate,
)

app = typer.Typer(
    help="Do PyTorch and TensorFlow take the same training step?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
USERS = "For users"
SELF_CHECKS = "Checks of this project"
for command in (
    report.report,
    page.page,
    compare.compare,
    identify.identify,
    pair.pair,
    pair.record,
    inspect.inspect,
    resume.resume,
    translate.translate,
    rules.rules,
    deviations.deviations,
    train.train,
    bench.bench,
):
    app.command(rich_help_panel=USERS)(command)
for command in (natives.natives, hostile.hostile, reproduce.reproduce, golden.golden):
    app.command(rich_help_panel=SELF_CHECKS)(command)


def main() -> None:
    """Run the command line; the entry point of ``samestep``."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a polite end must end the workers, too
    app(prog_name="samestep")
