"""Many training runs, each a process of its own, a few at a time.

A run that dies takes nobody with it: its message is kept, the others go on. Workers write to files, not to pipes, so
that one thread can watch them all and none of them ever waits for its reader.
"""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from samestep import SEARCH_PATH

from .run import Run

PAUSE = 0.05  # seconds between two looks at the workers
LAST_LINES = 12  # how much of a dead worker's standard error is passed on
CHATTER = re.compile(r"[IWE]\d{4}|WARNING: All log messages before absl|\s*$")  # what TensorFlow logs in any case
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read before a library starts its pool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: ``record`` is the path of its record, or None; then ``error`` says why."""

    run: Run
    record: Path | None
    error: str | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class Event:
    """A run started (``step`` 0), came to ``step`` of ``steps``, or ended (``outcome``)."""

    run: Run
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    outcome: Outcome | None = None


def ignore(event: Event) -> None:
    """Listen to nothing."""


def launch(
    runs: Sequence[Run], out: Path, *, jobs: int | None = None, on_event: Callable[[Event], None] = ignore
) -> list[Outcome]:
    """Train all runs, ``jobs`` at a time (default: one a core), and report in their order how each ended.

    Records go to the folder ``out``, which must exist. ``on_event`` is called in this thread. If it raises, or on
    Ctrl-C, the workers are ended before the exception goes on.
    """
    waiting, outcomes = list(dict.fromkeys(runs)), {}
    workers: list[_Worker] = []
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        try:
            while waiting or workers:
                while waiting and len(workers) < (jobs or cores()):
                    run = waiting.pop(0)
                    workers.append(_Worker(run, out, Path(folder) / f"run{len(waiting)}"))
                    on_event(Event(run))
                for event in _news(workers):
                    if event.outcome:
                        outcomes[event.run] = event.outcome
                    on_event(event)
                time.sleep(PAUSE)
        finally:
            _end(workers)
    return [outcomes[run] for run in runs]


def cores() -> int:
    """How many cores this process may use, which is not always all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int = 1) -> dict[str, str]:
    """The environment of a worker: it finds these packages from any folder and starts with so many threads."""
    found = {**os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONSAFEPATH": "1"}
    found.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if str(SEARCH_PATH) != sysconfig.get_path("purelib"):  # there it would come before the standard library
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SEARCH_PATH), os.environ.get("PYTHONPATH")]))
    return found


def last_words(text: str) -> str:
    """The end of a dead process's standard error, without what TensorFlow logs in any case."""
    return "\n".join([line for line in text.splitlines() if not CHATTER.match(line)][-LAST_LINES:])


def ending(code: int) -> str:
    """In words how a process ended that returned ``code``."""
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


class _Worker:
    """A running process, and what it has said so far."""

    def __init__(self, run: Run, out: Path, said: Path) -> None:
        self.run, self.started, self.record = run, time.perf_counter(), None
        self.stdout, self.stderr = said.with_suffix(".out"), said.with_suffix(".err")
        with open(self.stdout, "wb") as output, open(self.stderr, "wb") as errors:
            self.process = subprocess.Popen(
                run.command(out), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment(run.threads)
            )
        self.reader = open(self.stdout, encoding="utf-8", errors="replace")  # noqa: SIM115  closed by ``outcome``

    def said(self) -> Iterator[dict[str, Any]]:
        """The lines of progress since the last call."""
        while True:
            position = self.reader.tell()
            line = self.reader.readline()
            if not line.endswith("\n"):  # not written to its end yet
                self.reader.seek(position)
                return
            with contextlib.suppress(ValueError):  # a library may print, too
                message = json.loads(line)
                if isinstance(message, dict):
                    self.record = message.get("record", self.record)
                    yield message

    def outcome(self, code: int) -> Outcome:
        """How the run ended."""
        self.reader.close()
        seconds = time.perf_counter() - self.started
        if code == 0 and self.record is not None:
            return Outcome(self.run, Path(self.record), None, seconds)
        words = last_words(self.stderr.read_text(errors="replace")) or "it left no message"
        return Outcome(self.run, None, f"{ending(code)}: {words}", seconds)


def _news(workers: list[_Worker]) -> Iterator[Event]:
    """What happened since the last look; workers that ended leave the list."""
    for worker in list(workers):
        code = worker.process.poll()  # before reading: what it said last is then in the file
        for message in worker.said():
            if "step" in message:
                yield Event(worker.run, message["step"], message["steps"], message["loss"])
        if code is not None:
            workers.remove(worker)
            yield Event(worker.run, outcome=worker.outcome(code))


def _end(workers: list[_Worker]) -> None:
    """End what still runs: ask first, then insist."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.reader.close()
