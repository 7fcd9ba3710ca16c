"""Our steps beside the quickest native ones: measured in a process of its own by the clock, shown as a table."""

import importlib.util
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from samestep import SEARCH_PATH
from samestep.frameworks.experiment import process
from samestep.parity.measure.cases import MATRIX, PLAIN

STEPS, TRAINING = (SEARCH_PATH / "bench" / name for name in ("test_ratios.py", "test_epochs.py"))
COLOURS = {"faster": "green", "slower": "red", "cannot tell": "yellow"}
RULES, SIZES = (*PLAIN, *MATRIX), ("mnist", "large", "many")
WIDE = 190  # columns that a table needs, where there is no terminal to ask
WORDS, EPOCH_WORDS = ("quickest native", "verdict"), ("in turn with", "verdict")
COLUMNS = (
    "us", "quickest native", "us", "ratio", "95 % interval", "verdict", "noise", "to the usual", "B/par", "axpy",
    "taken", "first s",
)  # fmt: skip

OF_STEPS = (
    "ratio: the time of our step to the native's, timed in turn; noise: how far the native was from itself; to the "
    "usual: the interval of the ratio to the native as it is for who asks for nothing, PyTorch's for-loop (on CUDA "
    "mostly foreach) and Keras' graph; B/par: bytes a step must move for a parameter; axpy: share of the bandwidth of "
    "an in-place y += x / 2 in the same run; taken: memory that a warm step of large tensors takes beyond what it "
    "keeps, where it can be told; first: the first step, in which compilers work"
)
OF_TRAINING = (
    "s: an epoch of 1,875 steps, drawing included; products: its matrix products alone, in NumPy; in turn with: the "
    "loop of the framework's tutorials, and the quickest that its users write; public: compiled by public functions "
    "alone"
)


def words(rules: Sequence[str], sizes: Sequence[str], threads: int, quick: bool) -> list[str]:
    """What ``pytest bench`` is told; ValueError for what it would not understand."""
    for what, names, known in (("rule", rules, RULES), ("size", sizes, SIZES)):
        for name in names or ("none",):
            if name not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, got {name!r}")
    if set(rules) <= set(MATRIX) and set(sizes) == {"large"}:
        raise ValueError(f"size must be mnist or many for {', '.join(rules)}, got large, whose steps take too long")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    said = ["--rules", ",".join(rules), "--sizes", ",".join(sizes), "--threads", str(threads)]
    return [*said, "--quick"] if quick else said


def measure(words: Sequence[str], out: Path | None, clock: Path = STEPS) -> dict[str, Any]:
    """What pytest-benchmark wrote after ``pytest clock words``; ``out`` keeps the file.

    ValueError if it cannot run here or if a benchmark failed.
    """
    if not clock.exists():
        raise ValueError("bench must run in a checkout, where the benchmarks lie; this is an installed package")
    for package in ("pytest", "pytest_benchmark"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"bench needs {package}, which is not installed; pip install pytest pytest-benchmark")
    with tempfile.TemporaryDirectory() as folder:
        result = (out or Path(folder) / "ratios.json").resolve()
        command = ["-m", "pytest", str(clock), "--benchmark-only", "-q", "-p", "no:cacheprovider"]
        command += [*words, "--benchmark-json", str(result)]
        ended = process.run_python(command, cwd=SEARCH_PATH, merged=True)
        if ended.code:
            raise ValueError(f"the clock must end well, but it {ended.description}: {ended.message}")
        return json.loads(result.read_text())


def heading(told: dict[str, Any]) -> Text:
    """Where, when and with what it was measured."""
    facts = [row["extra_info"] for row in told["benchmarks"]]
    versions = {name: version for fact in facts for name, version in fact["versions"].items()}
    load = [fact["load"] for fact in facts]
    machine = told["machine_info"].get("cpu", {}).get("brand_raw", told["machine_info"]["machine"])
    return Text(
        f"{machine}, {facts[0]['machine']['cores']} cores, load {min(load):.1f} to {max(load):.1f}; "
        f"threads: {facts[0]['threads']}; {', '.join(f'{name} {version}' for name, version in versions.items())}"
    )


def tables(told: dict[str, Any]) -> list[Table]:
    """A table a size: a row a call and mode of ours, against the quickest native in the same process."""
    facts = [row["extra_info"] for row in told["benchmarks"]]
    found = []
    for size, device in dict.fromkeys((fact["size"], fact["device"]) for fact in facts):
        some = [fact for fact in facts if (fact["size"], fact["device"]) == (size, device)]
        table = Table(
            Column(f"{size}: {some[0]['parameters']:,} parameters, {device}", no_wrap=True), "ours",
            *(Column(name, justify="left" if name in WORDS else "right", no_wrap=True) for name in COLUMNS),
            box=None, pad_edge=False,
        )  # fmt: skip
        for fact in some:
            table.add_row(*_cells(fact))
        found.append(table)
    return found


def training(told: dict[str, Any]) -> Table:
    """A row an epoch of ours, and whom it was timed in turn with."""
    names = ("s", "products", "in turn with", "s", "times as fast", "95 % interval", "verdict")
    table = Table(
        Column("an epoch, batch 32", no_wrap=True),
        *(Column(name, justify="left" if name in EPOCH_WORDS else "right", no_wrap=True) for name in names),
        box=None, pad_edge=False,
    )  # fmt: skip
    for row in told["benchmarks"]:
        fact = row["extra_info"]
        name = f"{fact['framework']} {fact['mode']} {fact['arithmetic']}"
        others = {other["native"]: other for other in (fact.get("usual"), fact) if other and "native" in other}
        floor = f"{fact['products_seconds']:.2f}"
        if not others:
            table.add_row(name, f"{row['stats']['min']:.2f}", floor)
        for native, other in others.items():
            ratio, verdict = other["ratio"], other["verdict"]
            table.add_row(
                name, f"{ratio['a']:.2f}", floor, native, f"{ratio['b']:.2f}", f"{1 / ratio['value']:.2f}",
                f"{1 / ratio['high']:.2f} to {1 / ratio['low']:.2f}", Text(verdict, style=COLOURS[verdict]),
            )  # fmt: skip
    return table


def _cells(fact: dict[str, Any]) -> list[str | Text]:
    ratio, verdict = fact["ratio"], fact["verdict"]
    return [
        fact["call"], fact["mode"], f"{ratio['a'] * 1e6:.0f}", fact["native"], f"{ratio['b'] * 1e6:.0f}",
        f"{ratio['value']:.2f}", _interval(ratio), Text(verdict, style=COLOURS[verdict]), f"{fact['noise_floor']:.2f}",
        _interval(fact["usual"]["ratio"]), f"{fact['bytes_a_parameter']:.0f}", f"{fact['share_of_axpy']:.0%}",
        _megabytes(fact["taken_bytes"]), f"{fact['first_step_seconds']:.1f}",
    ]  # fmt: skip


def _interval(ratio: dict[str, float]) -> str:
    return f"{ratio['low']:.2f} to {ratio['high']:.2f}"


def _megabytes(number: int | None) -> str:
    return "" if number is None else f"{number / 2**20:.1f} MB"


def legend(training: bool = False) -> Text:
    """What the columns mean."""
    return Text(OF_TRAINING if training else OF_STEPS, style="dim")
