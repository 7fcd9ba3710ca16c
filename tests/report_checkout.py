"""Running the command line as a person does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MISTAKE = 2  # the exit code of a user's mistake


def samestep(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
    cwd: Path = ROOT,
) -> Any:
    """Run ``samestep`` in a child process, from the checkout's root unless ``cwd`` is given.

    ``flags`` are options of the interpreter. Returns the completed process with its text.
    """
    command = [sys.executable, *flags, "-m", "samestep.report.cli", *map(str, arguments)]
    variables = {**os.environ, **({"PYTHONPATH": str(ROOT)} if cwd != ROOT else {}), **(env or {})}
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False
    )


def assert_mistake(ended: Any, *parts: str) -> None:
    """Assert that a process ended as for a user's mistake.

    That is exit code 2, and one line without a traceback that contains all parts.
    """
    assert ended.returncode == MISTAKE, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for part in parts:
        assert part in ended.stderr


def workers(parent: int) -> list[tuple[int, str]]:
    """Return process id and command line of the training runs that a process has started."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        line = command.decode(errors="replace")
        if above == parent and "samestep.frameworks.experiment.run" in line:
            children.append((int(folder.name), line))
    return children
