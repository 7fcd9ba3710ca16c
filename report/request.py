"""What the user asked of ``samestep report``, and how each part ended: ``request.json``."""

import enum
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from samestep.frameworks import FRAMEWORKS
from samestep.frameworks.experiment import record
from samestep.frameworks.experiment.run import Run
from samestep.parity.measure import cases

FORMAT = 5  # of request.json and report.json
FILE = "request.json"
EARLIER_FILE = "made.json"  # what formats 1 to 4 called it
ARTICLE = {
    "Adagrad": ("article:Adagrad(lr=0.01)",)
}  # the rule of the article that the experiment comes from


class Files(NamedTuple):
    """The names of the files that the parts leave in the report's folder."""

    natives: str = "natives.json"
    hostile: str = "hostile.json"
    sensitivity: str = "sensitivity.json"
    steps: str = "steps.json"
    growth: str = "growth.json"


FILES = Files()


class Request(msgspec.Struct, frozen=True):
    """Which rules are trained in which frameworks, for how long, and which parts are made."""

    rules: tuple[str, ...] = cases.EVERYDAY
    frameworks: tuple[str, ...] = FRAMEWORKS
    epochs: int = 1
    steps: int | None = None
    data: str | None = None
    natives: bool = True
    bench: bool = True
    growth: bool = False  # measure how step times grow with the model, which takes minutes
    sensitivity: bool = True

    def __post_init__(self) -> None:
        _check_names("rule", self.rules, tuple(cases.PLAIN))
        _check_names("framework", self.frameworks, FRAMEWORKS)
        if len(self.frameworks) < 2:
            names = ", ".join(self.frameworks)
            raise ValueError(f"frameworks must be at least two to be compared, got {names}")
        self.runs()  # checks the numbers

    def calls(self, rule: str) -> tuple[str, ...]:
        """Return the calls that stand for a rule, one for each dialect."""
        return cases.PLAIN[rule] + ARTICLE.get(rule, ())

    def runs(self) -> list[Run]:
        """Return all training runs: every call in lockstep, Keras' calls in float32, too."""
        calls = []
        for rule in self.rules:
            calls += [(call, "lockstep") for call in self.calls(rule)]
            calls += [(call, "float32") for call in cases.PLAIN[rule] if call.startswith("keras:")]
        runs = []
        for call, arithmetic in calls:
            for framework in self.frameworks:
                run = Run(
                    framework,
                    call,
                    arithmetic,
                    epochs=self.epochs,
                    steps=self.steps,
                    data=self.data,
                )
                runs.append(run)
        return runs

    @property
    def has_usual_rules(self) -> bool:
        """True for the everyday rules or all of them, False if the user chose some."""
        return self.rules in (cases.EVERYDAY, tuple(cases.PLAIN))

    def command(self) -> str:
        """Return the command line that asks for the same report."""
        argv = ["samestep", "report", "--epochs", str(self.epochs)]
        if self.steps:
            argv += ["--steps", str(self.steps)]
        if self.data:
            argv += ["--data", self.data]
        if self.rules != cases.EVERYDAY:
            every_rule = self.rules == tuple(cases.PLAIN)
            argv += ["--rules", "all" if every_rule else ",".join(self.rules)]
        if self.frameworks != FRAMEWORKS:
            argv += ["--frameworks", ",".join(self.frameworks)]
        for part in ("natives", "bench", "sensitivity"):
            if not getattr(self, part):
                argv.append(f"--no-{part}")
        if self.growth:
            argv += ["--bench", "full"]
        return shlex.join(argv)


def _check_names(noun: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{noun} must be one of {', '.join(known)}, got {name!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"each {noun} must be named once, got {', '.join(names) or 'none'}")


class State(enum.StrEnum):
    """How a part of the report can end."""

    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "left out"


class Ending(msgspec.Struct, frozen=True):
    """How a part of the report ended.

    ``message`` says why it is not done, ``command`` repeats it.
    """

    state: State
    message: str = ""
    command: str = ""


class RunEnding(msgspec.Struct, frozen=True):
    """How a training run ended.

    ``record`` is the path of its record inside the folder; without one, ``error`` says why.
    """

    run: Run
    record: str | None
    error: str | None
    seconds: float


class Machine(msgspec.Struct, frozen=True):
    """The machine that the report was made on."""

    system: str
    processor: str
    cores: int | None
    platform: str


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``request.json``: what was asked, and how each run and part ended."""

    format: int = FORMAT
    request: Request
    command: str
    date: str
    seconds: float
    machine: Machine
    jobs: int
    runs: list[RunEnding]
    natives: Ending
    hostile: Ending
    sensitivity: Ending
    steps: Ending
    growth: Ending


class _Version(msgspec.Struct):
    """The one field that every format has."""

    format: int


def save(request_record: RequestRecord, folder: Path) -> Path:
    """Write ``request.json`` to the folder; return its path."""
    body = msgspec.json.format(msgspec.json.encode(request_record), indent=1)
    return record.write_whole(folder / FILE, lambda file: file.write(body))


def load(folder: Path) -> RequestRecord:
    """Read ``request.json`` of the folder.

    ValueError if it is missing, damaged or of another format.
    """
    path = folder / FILE
    earlier = folder / EARLIER_FILE
    advice = f"run samestep report --out {folder} first"
    if earlier.exists() and not path.exists():
        raise ValueError(
            f"{earlier} is of a format before {FORMAT}, which this release cannot read; {advice}"
        )
    try:
        body = path.read_bytes()
        version = msgspec.json.decode(body, type=_Version).format
        if version != FORMAT:
            raise ValueError(f"it is of format {version}")
        return msgspec.json.decode(body, type=RequestRecord)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} must describe a report of format {FORMAT}: {error}; {advice}"
        ) from error
