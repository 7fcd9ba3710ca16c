"""A process that has imported what the tests import of others, and forks one for each run of pytest.

The frameworks take seconds to import, a fork takes 50 ms. Of this project the process knows nothing, so that each run
imports what lies in its own folder, and no run leaves anything to the next.
"""

import contextlib
import gc
import importlib
import json
import math
import os
import queue
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

IMPORTED = ("pytest", "numpy", "mpmath", "gmpy2", "torch", "triton", "tensorflow", "keras")  # torch before TensorFlow
SAID = "said.txt"


class Run(NamedTuple):
    """A run's exit code, that of pytest or minus the number of the signal that ended it; the processor seconds that it
    took; and all that it said."""

    code: int
    seconds: float
    said: str


class Nursery:
    """The process, which lives until it is closed, or its owner ends; it takes one run at a time."""

    def __init__(self) -> None:
        from frameworks.launch import THREADS  # here, for the process itself must know nothing of this project

        # a process forks safely that has one thread
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, root: Path, words: Sequence[str], seconds: int) -> Run:
        """Call pytest with these words in the folder ``root``, whose packages are found first.

        It is ended after so many seconds of processor time, which last no shorter on a busy machine, or ten times as
        many by the clock.
        """
        asked = {"root": str(root), "words": list(words), "seconds": seconds}
        told = ""
        with contextlib.suppress(BrokenPipeError):  # nobody is there
            _pipe(self.process.stdin).write(json.dumps(asked) + "\n")
            _pipe(self.process.stdin).flush()
            told = _pipe(self.process.stdout).readline()
        if not told:
            raise RuntimeError(f"the process that forks must live, but ended with {self.process.wait()}")
        code, used = json.loads(told)
        return Run(code, used, (root / SAID).read_text(errors="replace"))

    def close(self) -> None:
        """End the process."""
        with self.process, contextlib.suppress(BrokenPipeError):
            _pipe(self.process.stdin).close()


class Nurseries:
    """Some of them, each lent to one thread at a time."""

    def __init__(self, count: int) -> None:
        self.all = [Nursery() for _ in range(count)]
        self.free: queue.SimpleQueue[Nursery] = queue.SimpleQueue()
        for nursery in self.all:
            self.free.put(nursery)

    def __enter__(self) -> "Nurseries":
        return self

    def __exit__(self, *error: object) -> None:
        for nursery in self.all:
            nursery.close()

    @contextlib.contextmanager
    def lent(self) -> Iterator[Nursery]:
        """One of them; waits for it."""
        nursery = self.free.get()
        try:
            yield nursery
        finally:
            self.free.put(nursery)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream
    return stream


def main() -> None:
    """The process: a line of JSON on standard input is a run, one on standard output its exit code and seconds."""
    for name in IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # as the tests do when they import it
    gc.freeze()  # pytest collects what is left over when it ends, and need not look through the frameworks
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(waited_for(json.loads(line)))}\n")
        sys.stdout.flush()


def waited_for(asked: dict[str, Any]) -> tuple[int, float]:
    """Fork a run, and give its exit code and processor seconds when it has ended. What it has started ends with it; it
    ends with the owner of this process, who says nothing on standard input before that."""
    child = os.fork()
    if not child:
        os.setsid()
        run(**asked)
    try:
        while not select.select([sys.stdin], [], [], 0.01)[0]:
            ended, status, used = os.wait4(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    return -signal.SIGKILL, 0.0


def run(root: str, words: list[str], seconds: int) -> None:
    """What the fork does. The system ends it when its time is over."""
    code = 3  # pytest's word for a fault of its own
    used = math.ceil(time.process_time())
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 1))
        signal.alarm(10 * seconds)
        said = os.open(Path(root, SAID), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(root)
        os.environ["PYTHONPATH"] = root
        sys.path.insert(0, root)
        code = int(sys.modules["pytest"].main(words))
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
