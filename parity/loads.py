"""What the test files of the suite load of the project: a finding depends on that and no more.

``python -m parity.loads`` runs each, and keeps it with the findings. As a plugin of pytest it writes what a run loads
to the file that ``SAMESTEP_LOADS`` names: null if the run starts a process of Python, which may load anything.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = ("reference", "frameworks", "parity")
TOLD = "SAMESTEP_LOADS"
OTHERS = ("torch._inductor", "cdll.LoadLibrary")  # in what the compiler starts, which knows nothing of the project

opened: set[str] = set()
started: list[str] = []


def heard(event: str, arguments: tuple[Any, ...]) -> None:
    """What the interpreter tells of itself."""
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".py"):
        opened.add(arguments[0])
    elif event == "subprocess.Popen":
        words = " ".join(map(os.fsdecode, arguments[1])) if not isinstance(arguments[1], str) else arguments[1]
        if "python" in words.partition(" ")[0] and not any(other in words for other in OTHERS):
            started.append(words)


def pytest_configure() -> None:
    """Listen; to the rest of the process, since nobody can stop listening."""
    sys.addaudithook(heard)


def pytest_sessionfinish() -> None:
    """Tell what was loaded."""
    modules = {str(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    files = {os.path.realpath(path) for path in modules | opened}
    inside = sorted(Path(path).relative_to(ROOT).as_posix() for path in files if path.startswith(f"{ROOT}{os.sep}"))
    loaded = [path for path in inside if path.startswith(tuple(f"{package}/" for package in OURS))]
    Path(os.environ[TOLD]).write_text(json.dumps(None if started else loaded))


def of(test: str) -> list[str] | None:
    """What the test file loads, as paths in the project, itself among them. None if that cannot be told, since it
    starts processes. ValueError if a test fails."""
    with tempfile.TemporaryDirectory(prefix="samestep-loads-") as folder:
        told = Path(folder, "told.json")
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "parity.loads", test]
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, TOLD: str(told)}, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"{test} must pass, but pytest ended with {done.returncode}:\n{done.stdout[-2000:]}")
        loaded: list[str] | None = json.loads(told.read_text())
        return loaded


def main(tests: Sequence[str]) -> None:
    """Measure the test files given, or all of the suite, and keep what they load."""
    from . import findings
    from .suite import SUITE

    for test in tests or [f"parity/{name}" for name in SUITE]:
        loaded = of(test)
        findings.keep_loads(findings.FILE, test, loaded)
        print(f"{test:<40} {'starts processes' if loaded is None else f'{len(loaded)} files'}", flush=True)  # noqa: T201  # a command


if __name__ == "__main__":
    main(sys.argv[1:])
