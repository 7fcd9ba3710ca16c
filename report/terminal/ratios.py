"""``samestep bench``: our steps beside the quickest native ones, as tables."""

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.table import Column, Table
from rich.text import Text

from samestep import SEARCH_PATH
from samestep.frameworks.experiment import process
from samestep.parity.measure.cases import MATRIX, PLAIN

STEPS = SEARCH_PATH / "bench" / "test_ratios.py"
TRAINING = SEARCH_PATH / "bench" / "test_epochs.py"
COLOURS = {"faster": "green", "slower": "red", "cannot tell": "yellow"}
RULES = (*PLAIN, *MATRIX)
SIZES = ("mnist", "large", "many")
WIDE = 190  # columns that a table needs, where there is no terminal to ask
LEFT = ("quickest native", "in turn with", "verdict")  # columns of text
COLUMNS = (
    "us",
    "quickest native",
    "us",
    "ratio",
    "95 % interval",
    "verdict",
    "noise",
    "to the usual",
    "B/par",
    "axpy",
    "taken",
    "first s",
)
EPOCH_COLUMNS = ("s", "products", "in turn with", "s", "times as fast", "95 % interval", "verdict")

OF_STEPS = (
    "ratio: the time of our step to the native's, timed in turn; "
    "noise: how far the native was from itself; "
    "to the usual: the interval of the ratio to the native with default arguments, PyTorch's "
    "for-loop (on CUDA mostly foreach) and Keras' graph; "
    "B/par: bytes a step must move for a parameter; "
    "axpy: share of the bandwidth of an in-place y += x / 2 in the same run; "
    "taken: memory that a warm step of large tensors takes beyond what it keeps, where it can be "
    "measured; "
    "first: the first step, in which compilers work"
)
OF_TRAINING = (
    "s: an epoch of 1,875 steps, drawing included; "
    "products: its matrix products alone, in NumPy; "
    "in turn with: the loop of the framework's tutorials, and the quickest that its users write; "
    "public: compiled by public functions alone"
)


class Stats(msgspec.Struct, frozen=True):
    """The statistics of pytest-benchmark that are used here, in seconds."""

    min: float = 0.0


class Ratio(msgspec.Struct, frozen=True):
    """The time of our step (``a``, in seconds) to another one's (``b``), with its 95 % interval."""

    value: float
    low: float
    high: float
    a: float
    b: float


class Opponent(msgspec.Struct, frozen=True):
    """An implementation of the framework, timed in turn with ours."""

    native: str
    ratio: Ratio
    verdict: str = ""


class Cores(msgspec.Struct, frozen=True):
    """The machine that was measured on."""

    cores: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the benchmarks say of one measurement; steps and training fill in different fields."""

    versions: dict[str, str] = {}
    load: float = 0.0
    machine: Cores | None = None
    threads: int = 1
    framework: str = ""
    arithmetic: str = ""
    call: str = ""
    mode: str = ""
    size: str = ""
    device: str = ""
    parameters: int = 0
    native: str | None = None
    ratio: Ratio | None = None
    verdict: str = ""
    usual: Opponent | None = None
    noise_floor: float = 0.0
    bytes_a_parameter: float = 0.0
    share_of_axpy: float = 0.0
    taken_bytes: int | None = None
    first_step_seconds: float = 0.0
    products_seconds: float = 0.0

    @property
    def quickest(self) -> Opponent | None:
        """The quickest native, if there was one to time."""
        if self.native is None or self.ratio is None:
            return None
        return Opponent(self.native, self.ratio, self.verdict)


class Benchmark(msgspec.Struct, frozen=True):
    """One measurement."""

    extra_info: Facts
    stats: Stats = Stats()


class Measured(msgspec.Struct, frozen=True):
    """The file that pytest-benchmark writes."""

    benchmarks: list[Benchmark]
    machine_info: dict[str, Any]


class Choice(NamedTuple):
    """What ``samestep bench`` measures."""

    rules: tuple[str, ...]
    sizes: tuple[str, ...]
    threads: int
    quick: bool

    def options(self) -> list[str]:
        """Return the options for pytest.

        ValueError for what the benchmarks would not understand.
        """
        _check_names("rule", self.rules, RULES)
        _check_names("size", self.sizes, SIZES)
        if set(self.rules) <= set(MATRIX) and set(self.sizes) == {"large"}:
            rules = ", ".join(self.rules)
            raise ValueError(
                f"size must be mnist or many for {rules}, got large, whose steps take too long"
            )
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
        options = ["--rules", ",".join(self.rules), "--sizes", ",".join(self.sizes)]
        options += ["--threads", str(self.threads)]
        return [*options, "--quick"] if self.quick else options


def _check_names(noun: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names or ("none",):
        if name not in known:
            raise ValueError(f"{noun} must be one of {', '.join(known)}, got {name!r}")


def measure(options: Sequence[str], out: Path | None, file: Path = STEPS) -> Measured:
    """Run a file of benchmarks with pytest in a child process.

    ``out`` keeps the JSON that it writes, if it is given.

    ValueError if it cannot run here or if a benchmark failed.
    """
    if not file.exists():
        raise ValueError(
            "bench must run in a checkout, where the benchmarks lie; this is an installed package"
        )
    for package in ("pytest", "pytest_benchmark"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"bench needs {package}, which is not installed; "
                "pip install pytest pytest-benchmark"
            )
    with tempfile.TemporaryDirectory() as folder:
        result = (out or Path(folder) / "ratios.json").resolve()
        arguments = ["-m", "pytest", str(file), "--benchmark-only", "-q", "-p", "no:cacheprovider"]
        arguments += [*options, "--benchmark-json", str(result)]
        ended = process.run_python(arguments, cwd=SEARCH_PATH, merged=True)
        if ended.code:
            raise ValueError(
                f"the benchmarks must pass, but pytest {ended.description}: {ended.message}"
            )
        return read(result.read_bytes())


def read(body: bytes) -> Measured:
    """Read what pytest-benchmark wrote."""
    return msgspec.json.decode(body, type=Measured)


def heading(measured: Measured) -> Text:
    """Return where, when and with what it was measured."""
    facts = [benchmark.extra_info for benchmark in measured.benchmarks]
    versions: dict[str, str] = {}
    for fact in facts:
        versions.update(fact.versions)
    load = [fact.load for fact in facts]
    machine = measured.machine_info.get("cpu", {}).get(
        "brand_raw", measured.machine_info["machine"]
    )
    cores = facts[0].machine.cores if facts[0].machine else "unknown"
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Text(
        f"{machine}, {cores} cores, load {min(load):.1f} to {max(load):.1f}; "
        f"threads: {facts[0].threads}; {names}"
    )


def tables(measured: Measured) -> list[Table]:
    """Return one table for each size, with a row for each call and mode of ours."""
    by_place: dict[tuple[str, str], list[Facts]] = {}
    for benchmark in measured.benchmarks:
        fact = benchmark.extra_info
        by_place.setdefault((fact.size, fact.device), []).append(fact)
    return [_table(facts) for facts in by_place.values()]


def _table(facts: Sequence[Facts]) -> Table:
    title = f"{facts[0].size}: {facts[0].parameters:,} parameters, {facts[0].device}"
    table = Table(Column(title, no_wrap=True), "ours", *_columns(COLUMNS), box=None, pad_edge=False)
    for fact in facts:
        table.add_row(*_cells(fact))
    return table


def _columns(names: Sequence[str]) -> list[Column]:
    return [
        Column(name, justify="left" if name in LEFT else "right", no_wrap=True) for name in names
    ]


def _cells(fact: Facts) -> list[str | Text]:
    if fact.ratio is None:
        return [fact.call, fact.mode]
    return [
        fact.call,
        fact.mode,
        f"{fact.ratio.a * 1e6:.0f}",
        fact.native or "",
        f"{fact.ratio.b * 1e6:.0f}",
        f"{fact.ratio.value:.2f}",
        _interval(fact.ratio),
        Text(fact.verdict, style=COLOURS[fact.verdict]),
        f"{fact.noise_floor:.2f}",
        _interval(fact.usual.ratio) if fact.usual else "",
        f"{fact.bytes_a_parameter:.0f}",
        f"{fact.share_of_axpy:.0%}",
        _megabytes(fact.taken_bytes),
        f"{fact.first_step_seconds:.1f}",
    ]


def _interval(ratio: Ratio) -> str:
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _megabytes(number: int | None) -> str:
    return "" if number is None else f"{number / 2**20:.1f} MB"


def training(measured: Measured) -> Table:
    """Return a row for each epoch of ours and each opponent that it was timed with."""
    first = Column("an epoch, batch 32", no_wrap=True)
    table = Table(first, *_columns(EPOCH_COLUMNS), box=None, pad_edge=False)
    for benchmark in measured.benchmarks:
        fact = benchmark.extra_info
        name = f"{fact.framework} {fact.mode} {fact.arithmetic}"
        floor = f"{fact.products_seconds:.2f}"
        opponents: dict[str, Opponent] = {}
        for opponent in (fact.usual, fact.quickest):
            if opponent:
                opponents[opponent.native] = opponent
        if not opponents:
            table.add_row(name, f"{benchmark.stats.min:.2f}", floor)
        for opponent in opponents.values():
            table.add_row(name, f"{opponent.ratio.a:.2f}", floor, *_epoch_cells(opponent))
    return table


def _epoch_cells(opponent: Opponent) -> list[str | Text]:
    ratio = opponent.ratio
    return [
        opponent.native,
        f"{ratio.b:.2f}",
        f"{1 / ratio.value:.2f}",
        f"{1 / ratio.high:.2f} to {1 / ratio.low:.2f}",
        Text(opponent.verdict, style=COLOURS[opponent.verdict]),
    ]


def legend(training: bool = False) -> Text:
    """Return what the columns mean."""
    return Text(OF_TRAINING if training else OF_STEPS, style="dim")
