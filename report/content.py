"""The shape of a report's content, which is also the shape of ``report.json``.

The classes are ``msgspec.Struct``s, because one declaration then gives the types that mypy checks,
the JSON in both directions, and an error that names the field which is wrong. (pydantic would do
the same, with four more packages; cattrs would need converters beside the classes for enums and
tuples.) JSON has no number for NaN and infinity: fields that can hold one are ``float | None`` and
hold None then.
"""

import enum
import itertools
from pathlib import Path
from typing import Any

import msgspec

from samestep.frameworks.experiment import record
from samestep.parity.natives.check import NativeVerdict
from samestep.parity.natives.hostile import NativeBehaviour

from .request import FORMAT, Ending, Machine, Request

FILE = "report.json"


class Agreement(enum.StrEnum):
    """Whether one call ended with the same bits in all frameworks."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"  # a framework has no record
    ALTERED = "altered"  # the digests of a record are not those of its weights


class Judgement(enum.StrEnum):
    """Whether a part of the verdict holds."""

    HOLDS = "holds"
    FAILS = "fails"
    LEFT_OUT = "left out"


class VerdictPart(msgspec.Struct, frozen=True):
    """One part that the verdict rests on, and its sentence."""

    name: str
    judgement: Judgement
    message: str


class Verdict(msgspec.Struct, frozen=True):
    """The verdict of the whole report in sentences.

    ``warning`` names the rules whose defaults differ.
    """

    holds: bool
    headline: str
    parts: list[VerdictPart]
    warning: str


class TrainingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call, trained in lockstep in every framework.

    ``marks`` are the steps at which digests were taken. ``first_difference`` is the first mark at
    which digests differ, and ``disagreeing`` are the frameworks to blame. ``digests``, ``accuracy``
    (one number for each epoch) and ``commands`` are by framework; None stands for a run without a
    record.
    """

    rule: str
    call: str
    dialect: str
    meaning: str
    agreement: Agreement
    first_difference: int | None
    disagreeing: list[str]
    message: str
    marks: list[int]
    steps: int
    weights: int
    digests: dict[str, str | None]
    accuracy: dict[str, list[float] | None]
    order_dependent: int | None
    commands: dict[str, str]


class DriftPair(msgspec.Struct, frozen=True):
    """The distance of two frameworks' weights after ``steps``, as a share of the path."""

    frameworks: tuple[str, str]
    steps: list[int]
    share: list[float | None]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One call, trained in plain float32 in every framework."""

    rule: str
    call: str
    pairs: list[DriftPair]
    accuracy: dict[str, list[float] | None]
    commands: dict[str, str]


class LossCurve(msgspec.Struct, frozen=True):
    """The loss of one call by framework.

    Each point is the mean of ``window`` steps; ``steps`` holds the last of them.
    """

    rule: str
    call: str
    window: int
    steps: list[int]
    loss: dict[str, list[float | None]]


class Cell(msgspec.Struct, frozen=True):
    """What one dialect writes for one hyperparameter.

    ``is_argument`` is false where the dialect fixes it.
    """

    is_argument: bool
    text: str


class HyperparameterRow(msgspec.Struct, frozen=True):
    """One hyperparameter in every dialect.

    It has an effect only if those in ``matters_with`` are set.
    """

    field: str
    matters_with: list[str]
    cells: list[Cell]
    differ: bool


class Spelling(msgspec.Struct, frozen=True):
    """A dialect's call with its defaults in another dialect.

    ``text`` is the call, or the reason why there is none.
    """

    call: str
    into: str
    possible: bool
    text: str
    size: str = ""
    instead: str = ""


class DialectTable(msgspec.Struct, frozen=True):
    """Everything about one rule in the dialects that have it."""

    rule: str
    sentence: str
    equation: str
    columns: list[str]
    rows: list[HyperparameterRow]
    spellings: list[Spelling]


class KnownDeviation(msgspec.Struct, frozen=True):
    """The recorded deviation that explains a native's distance."""

    cause: str
    size: float
    link: str


class NativeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``samestep natives``: a ``NativeRow`` of ``samestep.parity.natives.check``."""

    call: str
    rule: str
    native: str
    dtype: str
    distance: float | None
    limit: float | None
    nearest_wrong: float | None
    wrong_rule: str
    verdict: NativeVerdict
    place: str
    deviation: KnownDeviation | None
    command: str


class DeviationSize(msgspec.Struct, frozen=True, kw_only=True):
    """How often one optimizer showed a deviation in one dtype, and how large it was at most."""

    optimizer: str
    dtype: str
    comparisons: int
    distance: float | None
    size: float


class DeviationSummary(msgspec.Struct, frozen=True):
    """One cause of deviations, and what it did to which optimizers."""

    cause: str
    link: str
    rows: list[DeviationSize]


class Natives(msgspec.Struct, frozen=True):
    """The frameworks' own optimizers, compared with the rules that their dialects read."""

    ending: Ending
    rows: list[NativeRow]
    deviations: list[DeviationSummary]


class RecordedDeviation(msgspec.Struct, frozen=True, kw_only=True):
    """A deviation that has a script of its own.

    ``script`` is a path from the folder of the package.
    """

    name: str
    native: str
    versions: str
    cause: str
    size: str
    link: str
    script: str


class HostileRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``samestep hostile``: a ``HostileRow`` of ``samestep.parity.natives.hostile``."""

    case: str
    call: str
    rule: str
    reference: str
    ours: dict[str, str]
    native: NativeBehaviour
    message: str
    holds: bool


class HostileTable(msgspec.Struct, frozen=True):
    """What one call does on every kind of difficult gradients."""

    call: str
    rows: list[HostileRow]


class Hostile(msgspec.Struct, frozen=True):
    """Difficult gradients: our optimizers and the frameworks' own against the rule in NumPy."""

    ending: Ending
    tables: list[HostileTable]

    @property
    def rows(self) -> list[HostileRow]:
        """The rows of all tables."""
        return list(itertools.chain.from_iterable(table.rows for table in self.tables))


class PlantedFile(msgspec.Struct, frozen=True):
    """The wrong rules that were made from one file.

    ``mutants`` is the sum of ``caught``, ``equivalent`` and the number of survivors;
    ``wrongly_marked`` are marked as equivalent in the source, but the checks notice them.
    """

    file: str
    mutants: int
    caught: int
    equivalent: int
    survivors: list[str]
    wrongly_marked: list[str] = []


class Sensitivity(msgspec.Struct, frozen=True):
    """Whether the checks notice wrong rules that were planted on purpose."""

    ending: Ending
    rows: list[PlantedFile] = []
    seconds: float | None = None


class StepRow(msgspec.Struct, frozen=True):
    """Seconds of a step, and of the first step, by implementation and mode.

    ``ratio``: our fastest to theirs.
    """

    call: str
    rule: str
    seconds: dict[str, float]
    first: dict[str, float]
    ratio: float | None


class StepTable(msgspec.Struct, frozen=True, kw_only=True):
    """Step times in one framework on one device.

    A column is an implementation (ours, native) and a mode.
    """

    framework: str
    device: str
    gpu: str | None
    threads: int
    parameters: int
    versions: dict[str, str]
    machine: dict[str, Any]
    columns: list[tuple[str, str]]
    rows: list[StepRow]


class Steps(msgspec.Struct, frozen=True):
    """Step times on the weights of the experiment."""

    ending: Ending
    tables: list[StepTable]


class GrowthCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of a step, and of the first step, at each ``count`` of what grows."""

    framework: str
    call: str
    grows: str
    implementation: str
    mode: str
    device: str
    count: list[int]
    seconds: list[float]
    first: list[float]


class Growth(msgspec.Struct, frozen=True):
    """Step times as models grow."""

    ending: Ending
    curves: list[GrowthCurve]


class Rung(msgspec.Struct, frozen=True):
    """The tests of one rung of the ladder.

    ``tests`` counts all of them, also the skipped and the failed ones; ``seconds`` is their sum.
    """

    name: str
    tests: int
    skipped: int
    failed: int
    seconds: float


class Suite(msgspec.Struct, frozen=True):
    """The last run of the tests in this checkout; ``message`` says why there is none to show."""

    message: str
    date: str = ""
    seconds: float = 0.0
    rungs: list[Rung] = []


class Failure(msgspec.Struct, frozen=True):
    """A training run without a record: its command and the reason."""

    command: str
    message: str


class FrameworkFacts(msgspec.Struct, frozen=True):
    """What a framework's results may depend on."""

    versions: dict[str, str]
    device: str
    threads: int
    settings: dict[str, Any]
    options: dict[str, str]
    seed: int


class Environment(msgspec.Struct, frozen=True):
    """The machine, and the facts of each framework."""

    machine: Machine
    frameworks: dict[str, FrameworkFacts]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All results of a report, before they are judged."""

    format: int = FORMAT
    request: Request
    command: str
    date: str
    seconds: float
    jobs: int
    training: list[TrainingRow]
    float32: list[Drift]
    loss: list[LossCurve]
    dialects: list[DialectTable]
    natives: Natives
    recorded: list[RecordedDeviation]
    hostile: Hostile
    sensitivity: Sensitivity
    steps: Steps
    growth: Growth
    suite: Suite
    failures: list[Failure]
    environment: Environment


class Content(Results, frozen=True, kw_only=True):
    """The results and their verdict."""

    verdict: Verdict


def encode(content: Content) -> bytes:
    """Return the content as JSON."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1)


def decode(body: bytes) -> Content:
    """Return the content that JSON holds.

    Msgspec.ValidationError names the first field that is wrong.
    """
    return msgspec.json.decode(body, type=Content)


def save(content: Content, folder: Path) -> Path:
    """Write ``report.json`` to the folder; return its path."""
    body = encode(content)
    return record.write_whole(folder / FILE, lambda file: file.write(body))


def load(folder: Path) -> Content:
    """Read ``report.json`` of the folder.

    ValueError if it is not the content of a report of this format.
    """
    path = folder / FILE
    try:
        return decode(path.read_bytes())
    except (OSError, ValueError) as error:
        advice = f"run samestep page {folder}"
        raise ValueError(
            f"{path} must be a report of format {FORMAT}: {error}; {advice}"
        ) from error
