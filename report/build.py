"""Make all parts of a report: training runs, comparisons, planted wrong rules, step times.

Everything goes to one folder, with ``request.json`` to say what was asked and how each part ended.
The page is written from that folder alone: working and rendering are two steps, joined by files.
"""

import dataclasses
import importlib.util
import json
import platform
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import samestep
from samestep.frameworks.experiment import executor, record
from samestep.frameworks.experiment.executor import Event, Outcome

from . import programs
from .programs import Program
from .request import FILES, Ending, Machine, Request, RequestRecord, RunEnding, State, save


@dataclasses.dataclass(frozen=True)
class Place:
    """Where training runs happen.

    ``jobs`` run at a time on this machine; ``cluster`` is the address of a Dask scheduler.
    """

    jobs: int | None = None
    cluster: str | None = None


def run(
    request: Request,
    out: Path,
    place: Place,
    on_event: Callable[[Event], None] = executor.ignore,
    on_progress: programs.OnProgress = programs.ignore,
) -> None:
    """Do all that was asked, in the existing folder ``out``.

    A part that fails is recorded, not raised. Parts that time steps run alone, others side by side.
    ``on_event`` hears of the training runs, ``on_progress`` of the parts after them, in several
    threads.
    """
    started = time.time()
    (out / "records").mkdir(exist_ok=True)
    outcomes = executor.train_all(
        request.runs(),
        out / "records",
        jobs=place.jobs,
        cluster=place.cluster,
        on_event=on_event,
    )
    jobs = place.jobs or executor.cores()
    judged = [_natives(request, out), _hostile(request, out), _sensitivity(request, out)]
    natives, hostile, sensitivity = _end_all(judged, jobs, on_progress)
    timed = [_steps(request, out), _growth(request, out)]
    steps, growth = _end_all(timed, 1, on_progress)
    saved = RequestRecord(
        request=request,
        command=request.command(),
        date=time.strftime("%Y-%m-%d %H:%M", time.gmtime(started)) + " UTC",
        seconds=time.time() - started,
        machine=Machine(**record.machine(), platform=platform.platform()),
        jobs=jobs,
        runs=[_run_ending(outcome, out) for outcome in outcomes],
        natives=natives,
        hostile=hostile,
        sensitivity=sensitivity,
        steps=steps,
        growth=growth,
    )
    save(saved, out)


def _end_all(
    parts: Sequence[Program | Ending], jobs: int, on_progress: programs.OnProgress
) -> list[Ending]:
    """How each part ends: at once, if it is left out or cannot run here."""
    waiting = [part for part in parts if isinstance(part, Program)]
    endings = iter(programs.run_all(waiting, jobs, on_progress))
    return [next(endings) if isinstance(part, Program) else part for part in parts]


def _run_ending(outcome: Outcome, out: Path) -> RunEnding:
    path = outcome.record.relative_to(out).as_posix() if outcome.record else None
    return RunEnding(outcome.run, path, outcome.error, outcome.seconds)


def _natives(request: Request, out: Path) -> Program | Ending:
    return _on_both_frameworks(request, "natives", "the frameworks' own optimizers", out)


def _hostile(request: Request, out: Path) -> Program | Ending:
    return _on_both_frameworks(request, "hostile", "hostile gradients", out)


def _on_both_frameworks(request: Request, command: str, title: str, out: Path) -> Program | Ending:
    """Run a command that compares natives of PyTorch and Keras, for the rules of the request."""
    if not request.natives:
        return Ending(State.LEFT_OUT, "switched off with --no-natives")
    missing = {"pytorch", "tensorflow"} - set(request.frameworks)
    if missing:
        names = " and ".join(sorted(missing))
        return Ending(State.LEFT_OUT, f"it needs {names}, which --frameworks left out")
    result = out / f"{command}.json"
    arguments = [command, "--rules", ",".join(request.rules), "--out"]
    return Program(
        title=title,
        arguments=["-m", "samestep.report.cli", *arguments, str(result.resolve())],
        result=result,
        command=shlex.join(["samestep", *arguments, result.name]),
        codes=(0, 1),  # 1: an optimizer differs, which the verdict will say
    )


def _sensitivity(request: Request, out: Path) -> Program | Ending:
    """Plant wrong rules, with a program that lies in a checkout alone.

    They are made from the files of all rules and of what rules share, unless the user chose rules.
    """
    if not request.sensitivity:
        return Ending(State.LEFT_OUT, "switched off with --no-sensitivity")
    if samestep.checkout() is None:
        return Ending(State.LEFT_OUT, "it needs a checkout, and this is an installed package")
    for package in ("mpmath", "gmpy2"):
        if importlib.util.find_spec(package) is None:
            advice = "pip install mpmath gmpy2, or leave wrong rules out with --no-sensitivity"
            return Ending(State.FAILED, f"it needs {package}, which is not installed; {advice}")
    result = out / FILES.sensitivity
    module = "samestep.parity.sensitivity"
    chosen = {} if request.has_usual_rules else {"rules": list(request.rules)}
    argument = {"out": str(result.resolve()), **chosen}
    shown = {"out": result.name, **chosen}
    return Program(
        title="planted wrong rules",
        arguments=["-m", module, json.dumps(argument)],
        result=result,
        command=shlex.join(["python", "-m", module, json.dumps(shown)]),
        codes=(0, 1),  # 1: a wrong rule survived, which the verdict will say
    )


def _steps(request: Request, out: Path) -> Program | Ending:
    options = ["--rules", ",".join(request.rules)]
    return _timed(request, out / FILES.steps, "step times", options)


def _growth(request: Request, out: Path) -> Program | Ending:
    if request.bench and not request.growth:
        return Ending(State.LEFT_OUT, "it takes minutes; --bench full adds it")
    return _timed(request, out / FILES.growth, "step times as models grow", [])


def _timed(
    request: Request,
    result: Path,
    title: str,
    options: Sequence[str],
) -> Program | Ending:
    """The benchmarks of ``bench/`` in the file that is named like the result."""
    if not request.bench:
        return Ending(State.LEFT_OUT, "switched off with --no-bench")
    checkout = samestep.checkout()
    if checkout is None:
        return Ending(
            State.LEFT_OUT, "the benchmarks lie in a checkout, and this is an installed package"
        )
    for package in ("pytest", "pytest_benchmark"):
        if importlib.util.find_spec(package) is None:
            advice = "pip install pytest pytest-benchmark, or leave step times out with --no-bench"
            return Ending(State.FAILED, f"they need {package}, which is not installed; {advice}")
    arguments = [
        "-m",
        "pytest",
        f"bench/test_{result.stem}.py",
        "--benchmark-only",
        "--quick",
        "-q",
        *options,
    ]
    arguments += ["-p", "no:cacheprovider", "--benchmark-json"]
    return Program(
        title=title,
        arguments=[*arguments, str(result.resolve())],
        result=result,
        command=shlex.join(["python", *arguments, result.name]),
        cwd=checkout,
    )
