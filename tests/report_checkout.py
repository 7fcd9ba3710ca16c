"""Running the command line as a person does, and reading what it left."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MISTAKE = 2  # the exit code of a user's mistake


def samestep(
    *words: str | Path, env: Mapping[str, str] | None = None, flags: tuple[str, ...] = (), cwd: Path = ROOT
) -> Any:
    """Run ``samestep`` in a process of its own, from the checkout's root; the completed process with its text."""
    command = [sys.executable, *flags, "-m", "samestep.report.cli", *map(str, words)]
    surroundings = {**os.environ, **({"PYTHONPATH": str(ROOT)} if cwd != ROOT else {}), **(env or {})}
    return subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=300)


def assert_mistake(ended: Any, *words: str) -> None:
    """The process ended as for a user's mistake: exit code 2, one line that holds the words, no traceback."""
    assert ended.returncode == MISTAKE, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


def workers(parent: int) -> list[tuple[int, str]]:
    """The training runs that a process has started: process id and command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if above == parent and "samestep.frameworks.experiment.run" in line:
            found.append((int(folder.name), line))
    return found


def content(folder: Path) -> dict[str, Any]:
    """The report's content as it lies on disk."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found
