"""What the report is made of, and how it is made: training runs, the natives' distances, step times.

Everything goes to one folder, with ``made.json`` to say what was asked and how each part ended. The page is written
from that folder alone, so working and rendering are two steps joined by files.
"""

import dataclasses
import importlib.util
import json
import platform
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from samestep import SEARCH_PATH
from samestep.frameworks.experiment import executor, process, record
from samestep.frameworks.experiment.run import FRAMEWORKS, Run
from samestep.parity.measure import cases

ARTICLE = {"Adagrad": ("article:Adagrad(lr=0.01)",)}  # the rule of the article that the experiment comes from
DONE, FAILED, LEFT_OUT = "done", "failed", "left out"  # how a part can end
FORMAT = 4


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for."""

    rules: tuple[str, ...] = cases.EVERYDAY
    frameworks: tuple[str, ...] = FRAMEWORKS
    epochs: int = 1
    steps: int | None = None
    data: str | None = None
    natives: bool = True
    bench: bool = True

    def __post_init__(self) -> None:
        _known("rule", self.rules, tuple(cases.PLAIN))
        _known("framework", self.frameworks, FRAMEWORKS)
        if len(self.frameworks) < 2:
            raise ValueError(f"frameworks must be at least two to be compared, got {', '.join(self.frameworks)}")
        self.runs()  # checks the numbers

    def calls(self, rule: str) -> tuple[str, ...]:
        """The calls that stand for a rule, one a dialect."""
        return cases.PLAIN[rule] + ARTICLE.get(rule, ())

    def runs(self) -> list[Run]:
        """Every call in lockstep, and Keras' call as users train it, in float32; each in every framework."""
        asked = [(call, "lockstep") for rule in self.rules for call in self.calls(rule)]
        asked += [(call, "float32") for rule in self.rules for call in cases.PLAIN[rule] if call.startswith("keras:")]
        options = {"epochs": self.epochs, "steps": self.steps, "data": self.data}
        return [
            Run(framework, call, arithmetic, **options)  # type: ignore[arg-type]
            for call, arithmetic in asked
            for framework in self.frameworks
        ]

    def command(self) -> str:
        """The command that asks for the same."""
        words = ["samestep", "report", "--epochs", str(self.epochs)]
        words += ["--steps", str(self.steps)] if self.steps else []
        words += ["--data", self.data] if self.data else []
        if self.rules != cases.EVERYDAY:
            words += ["--rules", "all" if self.rules == tuple(cases.PLAIN) else ",".join(self.rules)]
        words += ["--frameworks", ",".join(self.frameworks)] if self.frameworks != FRAMEWORKS else []
        words += ["--no-natives"] if not self.natives else []
        words += ["--no-bench"] if not self.bench else []
        return shlex.join(words)


def work(
    request: Request,
    out: Path,
    jobs: int | None = None,
    on_event: Callable[[executor.Event], None] = executor.ignore,
    on_part: Callable[[str], None] = lambda title: None,
) -> None:
    """Do all that was asked, in the folder ``out``; failures are written down, not raised."""
    started = time.time()
    (out / "records").mkdir(exist_ok=True)
    outcomes = executor.train_all(request.runs(), out / "records", jobs=jobs, on_event=on_event)
    made: dict[str, Any] = {
        "natives": _natives(request, out, on_part), "hostile": _hostile(request, out, on_part),
        "steps": _steps(request, out, on_part), "growth": _growth(request, out, on_part),
    }  # fmt: skip
    made = {
        "format": FORMAT, "asked": dataclasses.asdict(request), "command": request.command(),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(started)) + " UTC", "seconds": time.time() - started,
        "machine": {**record.machine(), "platform": platform.platform()}, "jobs": jobs or executor.cores(),
        "runs": [_told(outcome, out) for outcome in outcomes], **made,
    }  # fmt: skip
    record.write_whole(out / "made.json", lambda file: file.write(json.dumps(made, indent=1).encode()))


def reproduce(run: Run, out: Path) -> str:
    """The command that makes the record of ``run`` again."""
    return shlex.join(["python", *run.arguments(out)])


def _told(outcome: executor.Outcome, out: Path) -> dict[str, Any]:
    path = outcome.record.relative_to(out).as_posix() if outcome.record else None
    run = dataclasses.asdict(outcome.run)
    return {"run": run, "record": path, "error": outcome.error, "seconds": outcome.seconds}


def _natives(request: Request, out: Path, on_part: Callable[[str], None]) -> dict[str, str]:
    return _measured(request, out / "natives.json", on_part, "the frameworks' own optimizers")


def _hostile(request: Request, out: Path, on_part: Callable[[str], None]) -> dict[str, str]:
    return _measured(request, out / "hostile.json", on_part, "hostile gradients")


def _measured(request: Request, result: Path, on_part: Callable[[str], None], title: str) -> dict[str, str]:
    """What a command of ``parity``, named as its result is, measures on both frameworks and their natives."""
    if not request.natives:
        return {"state": LEFT_OUT, "words": "switched off with --no-natives"}
    missing = {"pytorch", "tensorflow"} - set(request.frameworks)
    if missing:
        return {"state": LEFT_OUT, "words": f"it needs {' and '.join(sorted(missing))}, which --frameworks left out"}
    on_part(title)
    words = [
        "-m",
        f"samestep.parity.natives.{'check' if result.stem == 'natives' else result.stem}",
        "--rules",
        ",".join(request.rules),
        "--out",
    ]
    return _part(words, result, Path.cwd(), told=(0, 1))


def _steps(request: Request, out: Path, on_part: Callable[[str], None]) -> dict[str, str]:
    return _timed(request, out / "steps.json", on_part, "step times", ["--rules", ",".join(request.rules)])


def _growth(request: Request, out: Path, on_part: Callable[[str], None]) -> dict[str, str]:
    return _timed(request, out / "growth.json", on_part, "step times as models grow", [])


def _timed(
    request: Request, result: Path, on_part: Callable[[str], None], title: str, words: Sequence[str]
) -> dict[str, str]:
    """What the clock's file, named as its result is, measures."""
    if not request.bench:
        return {"state": LEFT_OUT, "words": "switched off with --no-bench"}
    clock = f"bench/test_{result.stem}.py"
    if not (SEARCH_PATH / clock).exists():
        return {"state": LEFT_OUT, "words": "the benchmarks lie in a checkout, and this is an installed package"}
    for package in ("pytest", "pytest_benchmark"):
        if importlib.util.find_spec(package) is None:
            advice = "pip install pytest pytest-benchmark, or leave step times out with --no-bench"
            return {"state": FAILED, "words": f"they need {package}, which is not installed; {advice}"}
    on_part(title)
    command = ["-m", "pytest", clock, "--benchmark-only", "--quick", "-q", *words, "-p", "no:cacheprovider"]
    return _part([*command, "--benchmark-json"], result, SEARCH_PATH)


def _part(words: Sequence[str], result: Path, folder: Path, told: tuple[int, ...] = (0,)) -> dict[str, str]:
    """Run ``python words result`` in ``folder``; how it ended. ``told``: exit codes with which it has done its work."""
    result.unlink(missing_ok=True)  # of an earlier report
    ended = process.run_python([*words, str(result.resolve())], cwd=folder, merged=True)
    again = {"command": shlex.join(["python", *words, result.name])}
    if ended.code in told and result.exists():
        return {"state": DONE, "words": "", **again}
    return {"state": FAILED, "words": f"{ended.description}: {ended.message}", **again}


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, got {name!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"each {what} must be named once, got {', '.join(names) or 'none'}")
