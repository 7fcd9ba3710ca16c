"""What a run of the whole suite took, rung by rung: kept in ``out/parity.json``, which the report shows.

A pytest plugin. A test file's docstring says which rung of the ladder it is, ``Rung 2, ...``; others stand beside it.
"""

import ast
import json
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from frameworks import record

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "out" / "parity.json"
RUNGS = {1: "truth", 2: "adapters", 3: "natives", 4: "sensitivity", 5: "training"}
BESIDE = "beside the ladder"


class Ledger:
    """Counts the cases and the seconds of every test file, whichever process ran them."""

    def __init__(self, config: pytest.Config, file: Path = FILE) -> None:
        self.config, self.file, self.started = config, file, time.time()
        self.files: dict[str, dict[str, float]] = defaultdict(lambda: {"cases": 0, "left_out": 0, "seconds": 0.0})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test was set up, called or torn down."""
        counted = self.files[report.nodeid.partition("::")[0]]
        counted["seconds"] += report.duration
        counted["cases"] += report.when == "call" and not report.skipped
        counted["left_out"] += report.skipped

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write down what the run took, unless it was broken off."""
        if exitstatus == pytest.ExitCode.OK:
            self.file.parent.mkdir(exist_ok=True)
            record.write_whole(self.file, lambda file: file.write(json.dumps(self.told(), indent=1).encode()))

    def told(self) -> dict[str, Any]:
        """The run as plain data: seconds by the clock, and by rung the cases, what was left out, seconds of work."""
        rungs: dict[str, dict[str, float]] = defaultdict(lambda: {"cases": 0, "left_out": 0, "seconds": 0.0})
        for file, counted in self.files.items():
            for name, number in counted.items():
                rungs[rung(self.config.rootpath / file)][name] += number
        return {
            "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.started)) + " UTC",
            "seconds": time.time() - self.started, "machine": record.machine(),
            "workers": self.config.getoption("numprocesses", None) or 1,
            "full": bool(self.config.getoption("full", False)),
            "rungs": [{"rung": name, **rungs[name]} for name in sorted(rungs)],
        }  # fmt: skip


def last(file: Path = FILE) -> dict[str, Any] | None:
    """The account of the last whole run in this checkout; None if there is none."""
    told: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
    return told


def rung(file: Path) -> str:
    """Which rung of the ladder a test file is, by its docstring."""
    said = re.match(r"Rung (\d)", ast.get_docstring(ast.parse(file.read_text())) or "")
    return f"{said[1]} {RUNGS[int(said[1])]}" if said else BESIDE


def whole(config: pytest.Config) -> bool:
    """Whether this process oversees a run of all tests there are, not of a choice among them."""
    chosen = config.getoption("keyword") or config.getoption("markexpr") or config.getoption("deselect", None)
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return everything and not chosen and not config.option.collectonly and not hasattr(config, "workerinput")
