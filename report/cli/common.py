"""What the commands share: types of options, lists with commas, mistakes and interrupts."""

import contextlib
import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from samestep.parity.measure.cases import EVERYDAY, PLAIN

NEEDS = {  # the packages that each framework needs, and the extra that brings them
    "numpy": (("numpy", "threadpoolctl"), "report"),
    "pytorch": (("torch",), "pytorch"),
    "tensorflow": (("tensorflow", "keras"), "tensorflow"),
}
PAGE_NEEDS = ("jinja2", "plotly")
INTERRUPTED = 130
MISTAKE = 2
CONTESTANT_HELP = (
    "a rule, a dialect's call, adapter:FRAMEWORK:CALL, native:DIALECT:CALL, "
    "or your own optimizer as module:factory"
)

Data = Annotated[
    str | None,
    typer.Option(help="the folder with the four MNIST files; default: the usual places"),
]
Steps = Annotated[int | None, typer.Option(help="end each run after so many steps")]
Jobs = Annotated[int | None, typer.Option(min=1, help="runs at a time; default: one for each core")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="train on a Dask cluster whose scheduler listens there, like tcp://10.0.0.1:8786",
    ),
]
Let = Annotated[
    list[str] | None,
    typer.Option(
        "--let", metavar="NAME=VALUE", help="the value of a variable in a call, like args.lr=0.001"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print the answer as JSON")]


def rules_help(names: Iterable[str]) -> str:
    """Return the help of an option ``--rules`` that accepts these names."""
    return f"some of {', '.join(names)}, or all; default: {', '.join(EVERYDAY)}"


def split_names(values: Sequence[str] | None) -> tuple[str, ...]:
    """Return names that were given one by one, or with commas between them, as one list."""
    names: list[str] = []
    for value in values or ():
        names += [name.strip() for name in value.split(",") if name.strip()]
    return tuple(names)


def chosen_rules(values: Sequence[str] | None, every: Iterable[str] = PLAIN) -> tuple[str, ...]:
    """Return the rules that an option names.

    Every rule for ``all``, the everyday ones without the option.
    """
    names = split_names(values) or EVERYDAY
    return tuple(every) if names == ("all",) else names


def require_installed(frameworks: Sequence[str], for_the_page: bool = False) -> None:
    """Check that the frameworks' packages, and the page's, are installed.

    ValueError if one is not, or if Keras does not run on TensorFlow.
    """
    for framework in frameworks:
        packages, extra = NEEDS[framework]
        for package in packages:
            if importlib.util.find_spec(package) is None:
                advice = (
                    f"pip install 'samestep[{extra}]', or leave {framework} out with --frameworks"
                )
                raise ValueError(f"{framework} needs {package}, which is not installed; {advice}")
    for package in PAGE_NEEDS if for_the_page else ():
        if importlib.util.find_spec(package) is None:
            advice = "pip install 'samestep[report]'"
            raise ValueError(f"the page needs {package}, which is not installed; {advice}")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if "tensorflow" in frameworks and backend != "tensorflow":
        advice = "set the environment variable KERAS_BACKEND to it, or to nothing"
        raise ValueError(
            f"Keras must run on its tensorflow backend, but KERAS_BACKEND is {backend!r}; {advice}"
        )


def require_mnist(data: str | None) -> None:
    """ValueError unless MNIST can be loaded from the folder, or from the usual places for None."""
    from samestep.frameworks.experiment import mnist

    mnist.load(Path(data) if data else None)


def print_assumptions(assumptions: Iterable[str]) -> None:
    """Print on standard error what was taken for granted when a call was read."""
    for assumption in assumptions:
        typer.echo(f"assumed: {assumption}", err=True)


def silence_tensorflow() -> None:
    """Keep most of TensorFlow's start messages from standard error, unless the user wants them.

    It must be called before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def mistakes() -> Iterator[None]:
    """Turn a ValueError about the user's input into one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"samestep: {error}", err=True)
        raise typer.Exit(MISTAKE) from None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C into one line and its usual exit code."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("samestep: interrupted; the records of finished runs are kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
