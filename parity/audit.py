"""The audit: plants a mutant in a copy of the project and runs the unchanged suite there, in fresh processes.

``python -m parity.audit --out audit.json`` tries them all and prints what caught each.
"""

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frameworks import record
from reference import RULES

from .mutants import ALL, ROOT, Mutant

SUITE = (  # in the order of the rungs
    "test_rules.py", "test_dialects.py", "test_schedules.py", "test_around.py", "test_limits.py",
    "test_models.py", "test_adapters.py", "test_hostile.py", "test_properties.py", "test_pytorch_optimizer.py",
    "test_tensorflow_optimizer.py", "test_natives.py", "test_witnesses.py", "test_translation.py", "test_training.py",
    "test_same_steps.py",
)  # fmt: skip

NEAREST = {  # where the suite begins for a file, so that a mutant is met early: test file and selection
    "reference/rule.py": ("test_rules.py", "weight_decay"),
    "reference/scalars.py": ("test_rules.py", "Adam"),
    "reference/sums.py": ("test_limits.py", "sum"),
    **{f"reference/{rule.__name__.lower()}.py": ("test_rules.py", rule.__name__) for rule in RULES},
    "reference/around/schedules.py": ("test_schedules.py", ""),
    "reference/around/": ("test_around.py", ""),
    "reference/dialects/around/": ("test_schedules.py", ""),
    "reference/dialects/refusal.py": ("test_translation.py", ""),
    "reference/dialects/relation.py": ("test_translation.py", ""),
    "reference/dialects/": ("test_dialects.py", ""),
    "frameworks/numpy/around.py": ("test_around.py", ""),
    "frameworks/pytorch/around.py": ("test_around.py", ""),
    "frameworks/tensorflow/around.py": ("test_around.py", ""),
    "frameworks/numpy/optimizer.py": ("test_rules.py", ""),
    "frameworks/experiment.py": ("test_models.py", "draws"),
    "frameworks/run.py": ("test_models.py", "accuracy"),
    "frameworks/pytorch/train.py": ("test_models.py", "plain"),
    "frameworks/numpy/model.py": ("test_models.py", ""),
    "frameworks/pytorch/model.py": ("test_models.py", ""),
    "frameworks/tensorflow/model.py": ("test_models.py", ""),
    "frameworks/pytorch/": ("test_pytorch_optimizer.py", ""),
    "frameworks/tensorflow/": ("test_tensorflow_optimizer.py", ""),
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """``caught_by`` is the first test that failed; None if the whole suite passed: the mutant survives."""

    mutant: str
    file: str
    caught_by: str | None


def covering(mutants: Sequence[Mutant]) -> list[Mutant]:
    """One mutant a file for every day: the first."""
    files: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        files.setdefault(mutant.file, []).append(mutant)
    return [own[0] for own in files.values()]


def begin(file: str) -> tuple[str, str]:
    """Test file and selection with which the suite begins for a mutant of ``file``."""
    return next(nearest for prefix, nearest in NEAREST.items() if file.startswith(prefix))


def commands(file: str) -> Iterator[list[str]]:
    """The suite as pytest calls, the nearest first; together they are the whole of it."""
    nearest, selection = begin(file)
    if selection:
        yield [f"parity/{nearest}", "-k", selection]
    yield from ([f"parity/{name}"] for name in sorted(SUITE, key=lambda name: name != nearest))


def copy(root: Path, mutant: Mutant | None) -> None:
    """The project in ``root``, with the mutant planted."""
    for package in ("reference", "frameworks", "parity"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "data").symlink_to(ROOT / "data")
    if mutant is not None:
        mutant.apply(root)


def failing(root: Path, calls: Iterable[Sequence[str]]) -> str | None:
    """The first test that fails in the copy, or None; ValueError if pytest itself could not run."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    for call in calls:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *call],
            cwd=root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 1, 2):  # 1: a test failed, 2: a test file could not even be imported
            raise ValueError(f"pytest {' '.join(call)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        if done.returncode:
            named = re.search(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
            return named.group(1) if named else done.stdout.strip().splitlines()[-1]
    return None


def judge(mutant: Mutant) -> Finding:
    """Plant the mutant and run the suite until a test fails."""
    with tempfile.TemporaryDirectory(prefix="samestep-mutant-") as folder:
        copy(Path(folder), mutant)
        return Finding(mutant.name, mutant.file, failing(Path(folder), commands(mutant.file)))


def judge_all(mutants: Sequence[Mutant], jobs: int | None = None) -> Iterator[Finding]:
    """A finding for each mutant, in their order, ``jobs`` at a time."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        yield from pool.map(judge, mutants)


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 1 if a mutant survives."""
    parser = argparse.ArgumentParser(prog="python -m parity.audit", description=__doc__)
    parser.add_argument("--out", type=Path, help="write the findings to this JSON file")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--jobs", type=int)
    options = parser.parse_args(arguments)
    findings = []
    for finding in judge_all([mutant for mutant in ALL if options.only in mutant.name], options.jobs):
        findings.append(finding)
        print(f"{finding.mutant:<70} {finding.caught_by or 'SURVIVES'}", flush=True)
    survivors = [finding for finding in findings if finding.caught_by is None]
    print(f"caught {len(findings) - len(survivors)} of {len(findings)}")
    if options.out:
        body = json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1)
        record.write_whole(options.out, lambda file: file.write(body.encode()))
    return int(bool(survivors) or not findings)


if __name__ == "__main__":
    sys.exit(main())
