"""The command line: ``samestep report``, and small commands around it.

A user's mistake ends a command with exit code 2 and one line. Exit code 1 says that a verdict does not hold.
"""

import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

try:
    import rich  # noqa: F401  the commands below need it
    import typer
except ModuleNotFoundError as missing:
    print(f"samestep: {missing.name} is not installed; pip install 'samestep[report]'", file=sys.stderr)
    raise SystemExit(2) from missing

from samestep.frameworks.experiment import mnist
from samestep.frameworks.experiment.executor import train_all
from samestep.frameworks.experiment.run import FRAMEWORKS, Run, writable
from samestep.parity.measure.cases import EVERYDAY, MATRIX, PLAIN
from samestep.reference import RULES, dialects

NEEDS = {  # what each framework is made of, and the extra that brings it
    "numpy": (("numpy", "threadpoolctl"), "report"),
    "pytorch": (("torch",), "pytorch"),
    "tensorflow": (("tensorflow", "keras"), "tensorflow"),
}
PAGE = ("jinja2", "plotly")
RULES_HELP = f"some of {{}}, or all; default: {', '.join(EVERYDAY)}"
CONTESTANT_HELP = (
    "a rule, a dialect's call, adapter:FRAMEWORK:CALL, native:DIALECT:CALL, or your own optimizer as module:factory"
)
INTERRUPTED = 130

app = typer.Typer(
    help="Do PyTorch and TensorFlow take the same training step?", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
Out = Annotated[Path, typer.Option(help="the folder that the results go to")]
Data = Annotated[str | None, typer.Option(help="the folder that holds the four MNIST files; else the usual places")]
Steps = Annotated[int | None, typer.Option(help="cut each run short after so many steps")]


@app.command()
def report(
    epochs: Annotated[int, typer.Option(help="how often each run goes through MNIST")] = 1,
    out: Out = Path("out/report"),
    rules: Annotated[list[str] | None, typer.Option(help=RULES_HELP.format(", ".join(PLAIN)))] = None,
    frameworks: Annotated[list[str] | None, typer.Option(help=f"some of {', '.join(FRAMEWORKS)}; default: all")] = None,
    data: Data = None,
    steps: Steps = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="runs at a time; default: one a core")] = None,
    natives: Annotated[bool, typer.Option(help="compare the frameworks' own optimizers")] = True,
    bench: Annotated[bool, typer.Option(help="measure step times")] = True,
) -> None:
    """Train the rules in every framework, compare, and write the page."""
    from . import console, work

    with mistakes():
        asked = work.Request(_rules(rules), _listed(frameworks) or FRAMEWORKS, epochs, steps, data, natives, bench)
        _installed(asked.frameworks, PAGE)
        mnist.load(Path(data) if data else None)
        writable(out)
    screen = console.console()
    with interruptible(), console.Bars(screen, len(asked.runs())) as bars:
        work.work(asked, out, jobs, bars, lambda title: screen.print(f"now {title} ...", style="dim"))
    page(out)


@app.command()
def page(out: Annotated[Path, typer.Argument(help="the folder of an earlier report")] = Path("out/report")) -> None:
    """Write the page again from the records of an earlier report."""
    with mistakes():
        _installed((), PAGE)
        from . import console, content
        from . import page as pages

        body = content.build(out)
        writable(out)
    written = pages.write(body, out)
    screen = console.console()
    for part in console.summary(body):
        screen.print(part, soft_wrap=not screen.is_terminal)
    screen.print(f"took {console.duration(body['seconds'])}; the page is {written}")
    raise typer.Exit(0 if body["verdict"]["holds"] else 1)


@app.command()
def train(
    call: Annotated[str, typer.Argument(help='what to train with, like "keras:Adam(learning_rate=0.001)"')],
    framework: Annotated[str, typer.Option(help=f"one of {', '.join(FRAMEWORKS)}")],
    arithmetic: Annotated[str, typer.Option(help="lockstep, float32 or float64")] = "lockstep",
    epochs: Annotated[int, typer.Option(help="how often to go through MNIST")] = 1,
    steps: Steps = None,
    threads: Annotated[int, typer.Option(help="threads of the framework")] = 1,
    xla: Annotated[bool, typer.Option(help="the whole loop under XLA, in TensorFlow")] = False,
    compiled: Annotated[bool, typer.Option(help="each step compiled as a whole, in PyTorch")] = False,
    data: Data = None,
    out: Out = Path("out/records"),
) -> None:
    """Train once and write the record."""
    from . import console

    with mistakes():
        run = Run(framework, call, arithmetic, epochs, steps, threads, xla, compiled, data)
        _installed((framework,))
        mnist.load(Path(data) if data else None)
        writable(out)
    with interruptible(), console.Bars(console.console(), 1) as bars:
        (outcome,) = train_all([run], out, on_event=bars)
    if outcome.error:
        raise typer.Exit(1)
    typer.echo(outcome.record)


@app.command()
def translate(
    call: Annotated[str, typer.Argument(help='a call in one dialect, like "keras:Adam(learning_rate=0.001)"')] = "",
    to: Annotated[str, typer.Option(help=f"the dialect to say it in: {', '.join(dialects.DIALECTS)}")] = "",
    matrix: Annotated[
        bool, typer.Option("--matrix", help="say how all calls of all rules, or of the rule named, relate")
    ] = False,
) -> None:
    """Say a call in another dialect, or print how every two dialects relate."""
    with mistakes():
        if matrix:
            return _matrix(call)
        if not call or not to:
            raise ValueError('translate must be given a call and --to, like "keras:Adam()" --to pytorch; or --matrix')
        rule, target = dialects.read(call), dialects.find(to)
    try:
        typer.echo(f"{to}:{target.spell(rule)}")
    except dialects.Inexpressible as reason:
        typer.echo(reason, err=True)
        raise typer.Exit(1) from None


def _matrix(name: str) -> None:
    from . import atlas, console

    names = [rule.__name__ for rule in RULES]
    if name and name not in names:
        raise ValueError(f"--matrix is of all rules or of one of {', '.join(names)}, got {name!r}")
    screen = console.console()
    for line in console.legend():
        screen.print(line)
    for each in [name] if name else names:
        screen.print()
        for part in console.relations(atlas.matrix(each)):
            screen.print(part)


@app.command()
def bench(
    rules: Annotated[list[str] | None, typer.Option(help=RULES_HELP.format(", ".join((*PLAIN, *MATRIX))))] = None,
    sizes: Annotated[list[str] | None, typer.Option(help="some of mnist, large, many; default: mnist")] = None,
    threads: Annotated[int, typer.Option(help="threads of the frameworks")] = 1,
    quick: Annotated[bool, typer.Option(help="measure shorter; natives under torch.compile are left out")] = False,
    training: Annotated[bool, typer.Option(help="time epochs of training instead of steps")] = False,
    out: Annotated[Path | None, typer.Option(help="keep what was measured in this JSON file")] = None,
) -> None:
    """Time our steps against the frameworks' quickest, in turn, and say what can be told."""
    with mistakes():
        from . import console, ratios

        if training and (rules or sizes or quick):
            raise ValueError("training is timed whole, under Adam; leave out --rules, --sizes and --quick")
        words = ratios.words(_rules(rules, ratios.RULES), _listed(sizes) or ("mnist",), threads, quick)
        told = ratios.measure(words, out, ratios.TRAINING if training else ratios.STEPS)
        tables = [ratios.training(told)] if training else ratios.tables(told)
    screen = console.console(ratios.WIDE)
    for part in (ratios.heading(told), *tables, ratios.legend(training)):
        screen.print(part, soft_wrap=not screen.is_terminal)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=CONTESTANT_HELP)],
    b: Annotated[str, typer.Argument(metavar="B", help="the same")],
    gradients: Annotated[Path | None, typer.Option(help="a file of gradients (.npz), your own or recorded")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    mnist_: Annotated[bool, typer.Option("--mnist", help="train both on MNIST, each in its framework")] = False,
    steps: Annotated[int, typer.Option(min=1, help="steps on the designed gradients, or on MNIST")] = 60,
    constant: Annotated[bool, typer.Option("--constant", help="keep the learning rate as it is")] = False,
    repro: Annotated[Path | None, typer.Option(help="write a script here that shows the difference by itself")] = None,
) -> None:
    """Do two optimizers take the same steps? If not: where they part, why, and what makes them equal."""
    from . import compare as comparing

    with mistakes():
        same = comparing.compare(comparing.Asked(a, b, gradients, dtype, steps, constant, repro, mnist_), typer.echo)
    raise typer.Exit(0 if same else 1)


@app.command()
def identify(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help=f"your own optimizer as module:factory, or {CONTESTANT_HELP}")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """Which rule is this optimizer, with which hyperparameters? Only where it takes parameters is looked at."""
    from . import identify as identifying

    with mistakes():
        known = identifying.identify(what, as_json, typer.echo)
    raise typer.Exit(0 if known else 1)


@app.command()
def rules() -> None:
    """List the rules, and what of PyTorch and Keras is left out."""
    from .atlas import explained

    for rule in RULES:
        typer.echo(f"{rule.__name__:14}{explained(rule)[0]}")
    for dialect in (dialects.pytorch, dialects.keras):
        for name, reason in dialect.left_out.items():
            typer.echo(f"left out: {dialect.name}'s {name}, since {reason}")


@app.command()
def deviations(
    as_json: Annotated[bool, typer.Option("--json", help="print them as JSON")] = False,
) -> None:
    """List what the frameworks' own optimizers are known to do wrong, each with a script that shows it."""
    from . import console
    from .deviations import recorded

    rows = recorded()
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    screen = console.console()
    screen.print(console.deviations(rows))
    screen.print(
        f"{len(rows)} deviations; run their scripts with: python -m samestep.parity.natives.reproduce [name of a script]"
    )


@contextlib.contextmanager
def mistakes() -> Iterator[None]:
    """Turn what is wrong with the user's input into one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        typer.echo(f"samestep: {error}", err=True)
        raise typer.Exit(2) from None


@contextlib.contextmanager
def interruptible(
    told: str = "samestep: interrupted; the records of finished runs are kept",
) -> Iterator[None]:
    """Turn Ctrl-C into one line and its usual exit code."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(told, err=True)
        raise typer.Exit(INTERRUPTED) from None


def _rules(words: list[str] | None, every: Iterable[str] = PLAIN) -> tuple[str, ...]:
    """The rules that the words name; all, or the everyday ones where there are no words."""
    named = _listed(words) or EVERYDAY
    return tuple(every) if named == ("all",) else named


def _listed(words: list[str] | None) -> tuple[str, ...]:
    """Words given one by one, or with commas between them."""
    return tuple(word.strip() for given in words or [] for word in given.split(",") if word.strip())


def _installed(frameworks: tuple[str, ...], others: tuple[str, ...] = ()) -> None:
    """ValueError unless everything can be imported, and Keras runs on TensorFlow."""
    for framework in frameworks:
        packages, extra = NEEDS[framework]
        for package in packages:
            if importlib.util.find_spec(package) is None:
                advice = f"pip install 'samestep[{extra}]', or leave {framework} out with --frameworks"
                raise ValueError(f"{framework} needs {package}, which is not installed; {advice}")
    for package in others:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"the page needs {package}, which is not installed; pip install 'samestep[report]'")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if "tensorflow" in frameworks and backend != "tensorflow":
        advice = "set the environment variable KERAS_BACKEND to it, or to nothing"
        raise ValueError(f"Keras must run on its tensorflow backend, but KERAS_BACKEND is {backend!r}; {advice}")


def main() -> None:
    """The entry point."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end, too, must end the workers
    app(prog_name="samestep")


if __name__ == "__main__":
    main()
