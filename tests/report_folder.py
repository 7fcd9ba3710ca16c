"""A report's folder in a test: find a record, change a file, add a part, write the page again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samestep.parity.measure.cases import PLAIN

RULE = "Adam"  # what the report is about
STEPS = 60  # how long its runs are
REQUEST = "request.json"


def write_again(folder: Path) -> tuple[int, Any]:
    """Write the page of the folder again; return the exit code and the content."""
    from typer.testing import CliRunner

    from samestep.report import content
    from samestep.report.cli import app

    (folder / content.FILE).unlink()
    code = CliRunner().invoke(app, ["page", str(folder)]).exit_code
    return code, content.load(folder)


def page_of(folder: Path) -> str:
    """Return the page of a report as text."""
    return (folder / "index.html").read_text()


def path_of(folder: Path, call: str, framework: str, arithmetic: str = "lockstep") -> Path:
    """Return the path of a run's record."""
    for ending in json.loads((folder / REQUEST).read_text())["runs"]:
        run = ending["run"]
        if (run["call"], run["framework"], run["arithmetic"]) == (call, framework, arithmetic):
            return folder / ending["record"]
    raise AssertionError(f"there is no run of {call} in {framework}")


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def add_part(folder: Path, name: str, body: dict[str, Any]) -> None:
    """Add a part that a program has finished with this result."""
    (folder / f"{name}.json").write_text(json.dumps(body))
    set_ending(folder, name, {"state": "done", "message": "", "command": f"run {name}"})


def set_ending(folder: Path, name: str, ending: dict[str, str]) -> None:
    """Say how a part ended."""
    edit(folder / REQUEST, lambda body: body.update({name: ending}))


def add_natives(folder: Path, verdict: str) -> None:
    """Add what ``samestep natives`` writes.

    There are two comparisons of Adam, and one of a rule that was not asked for.
    """
    deviation = {"cause": "a cast", "size": 2e-6, "link": "https://example.org/issue"}
    agreeing = {
        "call": PLAIN["Adam"][0],
        "rule": "Adam(lr=0.001)",
        "native": "torch.optim fused",
        "dtype": "float32",
        "distance": 1e-8,
        "limit": 1e-7,
        "nearest_wrong": 1e-3,
        "wrong_rule": "adam: epsilon is forgotten",
        "verdict": "agrees",
        "place": "distance 1e-08",
        "deviation": None,
        "command": "samestep natives",
    }
    deviating = {**agreeing, "verdict": verdict, "distance": 1e-6, "deviation": deviation}
    foreign = {**deviating, "rule": "SGD(lr=0.1)", "verdict": "differs"}
    add_part(folder, "natives", {"rows": [agreeing, deviating, foreign]})


def add_hostile(folder: Path, in_tensorflow: str) -> None:
    """Add what ``samestep hostile`` writes.

    There are two cases of Adam, and one of a rule that was not asked for.
    """
    same = {
        "case": "zero",
        "call": PLAIN["Adam"][0],
        "rule": "Adam(lr=0.001)",
        "reference": "8 moved",
        "ours": {"pytorch": "equal bits", "tensorflow": "equal bits"},
        "native": "the same",
        "message": "",
        "holds": True,
    }
    refusing = {
        **same,
        "case": "sparse",
        "native": "refuses",
        "message": "no <sparse> gradients",
        "ours": {"pytorch": "equal bits", "tensorflow": in_tensorflow},
        "holds": not in_tensorflow.startswith("differs"),
    }
    foreign = {**refusing, "rule": "SGD(lr=0.1)", "holds": False}
    add_part(folder, "hostile", {"rows": [same, refusing, foreign]})


def add_sensitivity(
    folder: Path, survivors: list[str], wrongly_marked: tuple[str, ...] = ()
) -> None:
    """Add what ``python -m samestep.parity.sensitivity`` writes."""
    caught = {
        "file": "reference/adam.py",
        "mutants": 1012,
        "caught": 1010,
        "equivalent": 2,
        "survivors": [],
    }
    other = {
        "file": "reference/scalars.py",
        "mutants": 4 + len(survivors),
        "caught": 4,
        "equivalent": 0,
        "survivors": survivors,
        "wrongly_marked": list(wrongly_marked),
    }
    add_part(folder, "sensitivity", {"rows": [caught, other], "seconds": 75.0})


def add_growth(folder: Path) -> None:
    """Add what pytest-benchmark writes of two curves of two points each."""
    shared = {
        "framework": "tensorflow",
        "call": PLAIN["Adam"][1],
        "device": "cpu",
        "grows": "tensors",
    }
    rows = []
    for implementation, factor in (("ours", 1e-5), ("native", 2e-5)):
        for count in (1, 10):
            facts = {
                **shared,
                "implementation": implementation,
                "mode": "xla",
                "count": count,
                "first_step_seconds": 1.0,
            }
            rows.append({"stats": {"median": count * factor}, "extra_info": facts})
    add_part(folder, "growth", {"benchmarks": rows})


def add_steps(folder: Path) -> None:
    """Add what pytest-benchmark writes of three implementations and modes."""
    times = {("ours", "eager"): 4e-4, ("ours", "compiled"): 1e-4, ("native", "fused"): 2e-4}
    shared = {
        "framework": "pytorch",
        "call": PLAIN["Adam"][0],
        "rule": "Adam(lr=0.001)",
        "parameters": 7,
        "device": "cpu",
        "gpu": None,
        "threads": 1,
        "versions": {},
        "machine": {},
        "first_step_seconds": 1.0,
    }
    rows = []
    for (implementation, mode), seconds in times.items():
        facts = {**shared, "implementation": implementation, "mode": mode}
        rows.append({"stats": {"median": seconds}, "extra_info": facts})
    add_part(folder, "steps", {"benchmarks": rows})
