"""One way to run a module in a child process and to learn how it ended."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .launch import environment

LAST_LINES = 12  # how many lines of a failed process's standard error are passed on
CHATTER = re.compile(r"[IWE]\d{4}|WARNING: All log messages before absl|\s*$")  # what TensorFlow logs in any case


class Ended(NamedTuple):
    """How a child process ended: its exit code (negative: the number of the signal that killed it) and its output."""

    code: int
    stdout: str
    stderr: str

    @property
    def description(self) -> str:
        """How the process ended, in words."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-self.code).name}"
        return f"was killed by signal {-self.code}"

    @property
    def message(self) -> str:
        """The last lines of standard error, or of standard output if standard error is empty."""
        return last_lines(self.stderr) or last_lines(self.stdout) or "it left no message"


def last_lines(text: str) -> str:
    """The last lines of a process's output, without what TensorFlow always logs."""
    lines = [line for line in text.splitlines() if not CHATTER.match(line)]
    return "\n".join(lines[-LAST_LINES:])


def run_module(
    module: str, arguments: Sequence[str] = (), *, timeout: float | None = None, cwd: Path | None = None
) -> Ended:
    """Run ``python -m module arguments`` with the package importable and one thread, and wait for its end.

    ``timeout`` is in seconds; subprocess.TimeoutExpired if the process takes longer.
    """
    return run_python(["-m", module, *arguments], timeout=timeout, cwd=cwd)


def run_python(
    arguments: Sequence[str],
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
    merged: bool = False,
) -> Ended:
    """Run ``python arguments`` as ``run_module`` does: a script's path, or the interpreter's options.

    With ``merged`` standard error goes to standard output, so that the order of lines is kept.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr or "")
