"""The audit: plants a mutant in a copy of the project and runs the unchanged suite there, in fresh processes.

``python -m parity.audit --out audit.json`` tries them all and prints what caught each; interrupted, it goes on later.
"""

import argparse
import dataclasses
import hashlib
import importlib.util
import json
import os
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
    "test_compiled.py", "test_tensorflow_optimizer.py", "test_natives.py", "test_witnesses.py", "test_translation.py",
    "test_false_alarms.py", "test_same_steps.py", "test_compare.py", "test_compare_training.py", "test_recorder.py",
    "test_identify.py", "test_identify_strangers.py", "test_training.py",
)  # fmt: skip

NEAREST = {  # where the suite begins for a file, so that a mutant is met early: test file and selection
    "reference/rule.py": ("test_rules.py", "weight_decay"),
    "reference/scalars.py": ("test_rules.py", "Adam"),
    "reference/sums.py": ("test_limits.py", "sum"),
    "reference/matrices.py": ("test_rules.py", "Muon"),
    **{f"reference/{rule.__name__.lower()}.py": ("test_rules.py", rule.__name__) for rule in RULES},
    "reference/around/schedules.py": ("test_schedules.py", ""),
    "reference/around/clipping.py": ("test_around.py", "clip"),
    "reference/around/average.py": ("test_around.py", "average"),
    "reference/around/": ("test_around.py", "accumulat"),
    "reference/dialects/around/": ("test_schedules.py", ""),
    "reference/dialects/refusal.py": ("test_translation.py", ""),
    "reference/dialects/relation.py": ("test_translation.py", ""),
    "reference/dialects/": ("test_dialects.py", ""),
    "frameworks/numpy/around.py": ("test_around.py", "ends_alike"),
    "frameworks/pytorch/around.py": ("test_around.py", ""),
    "frameworks/tensorflow/around.py": ("test_around.py", ""),
    "frameworks/numpy/optimizer.py": ("test_rules.py", ""),
    "frameworks/experiment.py": ("test_models.py", "draws"),
    "frameworks/run.py": ("test_models.py", "accuracy"),
    "frameworks/pytorch/train.py": ("test_models.py", "plain"),
    "frameworks/numpy/model.py": ("test_models.py", ""),
    "frameworks/pytorch/model.py": ("test_models.py", ""),
    "frameworks/tensorflow/model.py": ("test_models.py", ""),
    "frameworks/pytorch/compiled.py": ("test_compiled.py", "numbers or share or autograd or data or groups"),
    "frameworks/pytorch/": ("test_pytorch_optimizer.py", ""),
    "frameworks/tensorflow/": ("test_tensorflow_optimizer.py", ""),
}


NEEDS = ("pytest", "mpmath", "hypothesis", "torch", "tensorflow", "keras", "tf_keras", "optax", "onnx")
PACKAGES = ("reference", "frameworks", "parity")  # what a copy holds
CACHE = ".pytest_cache"  # said, since under tox pytest has another place for it
FAILED = Path(CACHE, "v/cache/lastfailed")  # where pytest keeps the ids of the tests that failed


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
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "data").symlink_to(ROOT / "data")
    if mutant is not None:
        mutant.apply(root)


def failing(root: Path, tests: Sequence[str], *options: str) -> list[str]:
    """The tests that fail in the copy, by the ids that pytest gives them; ValueError if pytest itself could not run."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={root / CACHE}", *options, *tests],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode < 0:  # killed by a signal, such as a segmentation fault: that is red, too
        return [tests[0]]
    if done.returncode not in (0, 1, 2):  # 1: a test failed, 2: a test file could not even be imported
        raise ValueError(f"pytest {' '.join(tests)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return list(json.loads((root / FAILED).read_text())) if done.returncode else []


def judge(mutant: Mutant) -> Finding:
    """Plant the mutant and run the suite until a test fails."""
    with tempfile.TemporaryDirectory(prefix="samestep-mutant-") as folder:
        copy(Path(folder), mutant)
        caught = (failed[0] for call in commands(mutant.file) if (failed := failing(Path(folder), call, "-x")))
        return Finding(mutant.name, mutant.file, next(caught, None))


def false_alarms(findings: Iterable[Finding]) -> list[str]:
    """The tests that caught a mutant and fail on an unaltered copy as well."""
    with tempfile.TemporaryDirectory(prefix="samestep-unaltered-") as folder:
        copy(Path(folder), None)
        return failing(Path(folder), sorted({finding.caught_by for finding in findings if finding.caught_by}))


def judge_all(mutants: Sequence[Mutant], jobs: int | None = None) -> Iterator[Finding]:
    """A finding for each mutant, in their order, ``jobs`` at a time."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        yield from pool.map(judge, mutants)


def ready(only: str = "") -> None:
    """ValueError unless the tests and what they need are here, and some mutant has ``only`` in its name."""
    if not any(only in mutant.name for mutant in ALL):
        raise ValueError(f"no mutant has {only!r} in its name")
    if missing := [name for name in SUITE if not (ROOT / "parity" / name).exists()]:
        raise ValueError(
            f"an audit must run in a checkout of the project, with its tests; there is no {missing[0]} here"
        )
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        raise ValueError(f"an audit needs {', '.join(missing)}; run tox -e audit, which installs it")


def tree() -> str:
    """The digest of all sources that a finding depends on: with other sources the mutants must be judged again."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def earlier(file: Path) -> list[Finding]:
    """The findings that an audit of these very sources left in ``file``; none if there is no such file."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    return [Finding(**finding) for finding in kept["findings"]] if kept.get("tree") == tree() else []


def keep(file: Path, findings: Sequence[Finding]) -> None:
    """Write the findings, so that an audit that is interrupted goes on where it was."""
    body = {"tree": tree(), "findings": [dataclasses.asdict(finding) for finding in findings]}
    record.write_whole(file, lambda whole: whole.write(json.dumps(body, indent=1).encode()))


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 1 if a mutant survives or a test accuses the innocent."""
    parser = argparse.ArgumentParser(prog="python -m parity.audit", description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the findings in this JSON file, and go on from those there")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--jobs", type=int)
    options = parser.parse_args(arguments)
    chosen = [mutant for mutant in ALL if options.only in mutant.name]
    findings = earlier(options.out) if options.out else []
    if findings:
        print(f"{len(findings)} mutants were judged before, on the same sources")
    known = {finding.mutant for finding in findings}
    for finding in judge_all([mutant for mutant in chosen if mutant.name not in known], options.jobs):
        findings.append(finding)
        if options.out:
            keep(options.out, findings)
        print(f"{finding.mutant:<70} {finding.caught_by or 'SURVIVES'}", flush=True)
    survivors = [finding for finding in findings if finding.caught_by is None]
    print(f"caught {len(findings) - len(survivors)} of {len(findings)}")
    print("\n".join(f"survives: {finding.mutant} ({finding.file})" for finding in survivors))
    alarms = false_alarms(findings)
    print("\n".join([f"{test} fails without a mutant as well" for test in alarms]) or "no test fails without a mutant")
    return int(bool(survivors or alarms) or not findings)


if __name__ == "__main__":
    sys.exit(main())
