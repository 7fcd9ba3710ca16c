"""One way to run Python in a child process and to learn how it ended.

``run_module`` and ``run_python`` wait for the end. ``Child`` hands over the lines of standard
output while the process runs, and may be asked line by line.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from samestep import SEARCH_PATH

LAST_LINES = 12  # how many lines of a failed process's output are passed on
CHATTER = re.compile(  # what TensorFlow logs in any case
    r"[IWE]\d{4}|WARNING: All log messages before absl|\s*$"
)
# These variables are read before a library starts its pool of threads.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GRACE = 5  # seconds between asking a process to end and killing it


class Ended(NamedTuple):
    """How a child process ended.

    ``code`` is the exit code, or minus the number of the signal that killed the process.
    """

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


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Leave out of this process's standard error what TensorFlow logs when it is imported."""
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        usual = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(usual, 2)
            os.close(usual)
            log.seek(0)
            for line in log:
                if not CHATTER.match(line):
                    sys.stderr.write(line)


def environment(threads: int = 1) -> dict[str, str]:
    """The environment of a child process.

    It finds this package from any folder, and its libraries start with so many threads.
    """
    variables = {
        **os.environ,
        **dict.fromkeys(THREADS, str(threads)),
        "PYTHONSAFEPATH": "1",
    }
    variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # The folder of installed packages must not come before the standard library.
    if str(SEARCH_PATH) != sysconfig.get_path("purelib"):
        folders = [str(SEARCH_PATH), os.environ.get("PYTHONPATH")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return variables


def run_module(
    module: str,
    arguments: Sequence[str] = (),
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run ``python -m module arguments`` in a child process and wait for its end.

    The process can import this package and uses one thread. ``timeout`` is in seconds;
    subprocess.TimeoutExpired is raised if the process takes longer.
    """
    return run_python(["-m", module, *arguments], timeout=timeout, cwd=cwd)


def run_python(
    arguments: Sequence[str],
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
    merged: bool = False,
) -> Ended:
    """Run ``python arguments`` as ``run_module`` does.

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


class Child:
    """A running child process, which answers each line of standard input with some of output.

    If ``lines()`` come to their end, the process has ended; then call ``wait()``. Standard error
    goes to a file, so that the process never waits for a reader of it.
    """

    def __init__(self, arguments: Sequence[str], threads: int = 1, cwd: Path | None = None) -> None:
        """Start ``python arguments`` with so many threads; it may read what it is asked for."""
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  see ``wait``
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            errors="replace",
        )
        self._asked = 0  # how much was on standard error at the last question

    def ask(self, line: str) -> None:
        """Write a line to standard input; a process that has ended does not mind."""
        assert self._process.stdin
        self._asked = os.fstat(self._errors.fileno()).st_size
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def lines(self) -> Iterator[str]:
        """The lines of standard output as they are written; ends when the process ends."""
        assert self._process.stdout
        yield from iter(self._process.stdout.readline, "")

    def answer(self, patience: float) -> str:
        """The next line of standard output; empty if the process ends.

        A process that does not answer within ``patience`` seconds is killed.
        """
        assert self._process.stdout
        timer = threading.Timer(patience, self._process.kill)
        timer.start()
        try:
            return self._process.stdout.readline()
        finally:
            timer.cancel()

    def wait(self) -> Ended:
        """Close its standard input and wait for the end.

        ``stdout`` of the result is empty, since ``lines`` has read it; ``stderr`` begins with the
        last question.
        """
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        code = self._process.wait()
        with self._errors as errors:
            errors.seek(self._asked)
            return Ended(code, "", errors.read())

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.terminate()

    def stop(self) -> None:
        """End the process: ask it to, and kill it if it has not ended after some seconds."""
        self.terminate()
        try:
            self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Children:
    """The child processes that several threads have started, to be ended together.

    Leaving its context after an exception ends them.
    """

    def __init__(self) -> None:
        self._children: set[Child] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is not None:
            self.stop()

    def start(self, arguments: Sequence[str], threads: int = 1, cwd: Path | None = None) -> Child:
        """Start a child process; InterruptedError if they have been ended."""
        with self._lock:  # no child may start after ``stop`` has gone through them
            if self._stopped:
                raise InterruptedError("the child processes were ended")
            child = Child(arguments, threads, cwd)
            self._children.add(child)
            return child

    def stop(self) -> None:
        """End them all."""
        with self._lock:
            self._stopped = True
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.stop()
