"""A report's folder in the hands of a test: find a record, change a file, add a part, write the page again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_checkout import content

from samestep.parity.measure.cases import PLAIN

RULE, STEPS = "Adam", 60  # what the report is about, and how long its runs are


def again(folder: Path) -> tuple[int, dict[str, Any]]:
    """Write the page of the folder again: the exit code and the content."""
    from typer.testing import CliRunner

    from samestep.report.cli import app

    (folder / "report.json").unlink()
    return CliRunner().invoke(app, ["page", str(folder)]).exit_code, content(folder)


def path_of(folder: Path, call: str, framework: str, arithmetic: str = "lockstep") -> Path:
    """The path of a run's record."""
    (told,) = (
        told for told in json.loads((folder / "made.json").read_text())["runs"]
        if [told["run"][k] for k in ("call", "framework", "arithmetic")] == [call, framework, arithmetic]
    )  # fmt: skip
    return folder / told["record"]


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def add_natives(folder: Path, word: str) -> None:
    """What samestep.parity.natives.check writes, for two comparisons of Adam and one of a rule that was not asked for."""
    deviation = {"cause": "a cast", "size": 2e-6, "link": "https://example.org/issue"}
    row = {
        "call": PLAIN["Adam"][0], "rule": "Adam(lr=0.001)", "witness": "torch.optim fused", "dtype": "float32",
        "distance": 1e-8, "limit": 1e-7, "nearest_wrong": 1e-3, "wrong_rule": "adam: epsilon is forgotten",
        "verdict": "agrees", "told": "distance 1e-08", "deviation": None, "command": "python -m samestep.parity.natives.check",
    }  # fmt: skip
    other = {**row, "verdict": word, "distance": 1e-6, "deviation": deviation}
    rows = [row, other, {**other, "rule": "SGD(lr=0.1)", "verdict": "differs"}]
    (folder / "natives.json").write_text(json.dumps({"rows": rows}))
    edit(folder / "made.json", lambda body: body.update(natives={"state": "done", "words": "", "command": "natives"}))


def add_hostile(folder: Path, word: str) -> None:
    """What samestep.parity.natives.hostile writes, for two cases of Adam and one of a rule that was not asked for."""
    row = {
        "case": "zero", "call": PLAIN["Adam"][0], "rule": "Adam(lr=0.001)", "reference": "8 moved",
        "ours": {"pytorch": "equal bits", "tensorflow": "equal bits"}, "native": "the same", "told": "", "holds": True,
    }  # fmt: skip
    ours = {"pytorch": "equal bits", "tensorflow": word}
    odd = {"case": "sparse", "native": "refuses", "told": "no <sparse> gradients"}
    other = {**row, **odd, "ours": ours, "holds": not word.startswith("differs")}
    rows = [row, other, {**other, "rule": "SGD(lr=0.1)", "holds": False}]
    (folder / "hostile.json").write_text(json.dumps({"rows": rows}))
    edit(folder / "made.json", lambda body: body.update(hostile={"state": "done", "words": "", "command": "hostile"}))


def add_growth(folder: Path) -> None:
    """What pytest-benchmark writes of two curves of two points each."""
    shared = {"framework": "tensorflow", "call": PLAIN["Adam"][1], "device": "cpu", "grows": "tensors"}
    rows = [
        {
            "stats": {"median": count * factor},
            "extra_info": {**shared, "rule": "", "implementation": whose, "mode": "xla", "count": count,
                           "first_step_seconds": 1.0},
        }
        for whose, factor in (("ours", 1e-5), ("native", 2e-5))
        for count in (1, 10)
    ]  # fmt: skip
    (folder / "growth.json").write_text(json.dumps({"benchmarks": rows}))
    edit(folder / "made.json", lambda body: body.update(growth={"state": "done", "words": "", "command": "bench"}))


def add_steps(folder: Path) -> None:
    """What pytest-benchmark writes."""
    times = {("ours", "eager"): 4e-4, ("ours", "compiled"): 1e-4, ("native", "fused"): 2e-4}
    shared = {
        "framework": "pytorch", "call": PLAIN["Adam"][0], "rule": "Adam(lr=0.001)", "parameters": 7, "device": "cpu",
        "gpu": None, "threads": 1, "versions": {}, "machine": {}, "first_step_seconds": 1.0,
    }  # fmt: skip
    rows = [
        {"stats": {"median": seconds}, "extra_info": {**shared, "implementation": whose, "mode": mode}}
        for (whose, mode), seconds in times.items()
    ]
    (folder / "steps.json").write_text(json.dumps({"benchmarks": rows}))
    edit(folder / "made.json", lambda body: body.update(steps={"state": "done", "words": "", "command": "bench"}))
