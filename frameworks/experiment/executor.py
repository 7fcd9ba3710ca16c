"""Many training runs, each in a child process, on this machine or on a cluster.

The runs go through an executor of ``concurrent.futures``. On this machine it is a pool of threads,
each of which watches a child process a framework. On a cluster it is Dask's; there a worker starts
the same child process for each run. In both cases the finished record comes back as bytes, and the
calling thread writes it whole. So an interrupt leaves whole records only, and a run that dies ends
no other run.
"""

import contextlib
import functools
import json
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, Self

from . import record
from .process import Child, Children
from .run import MANY, MODULE, Run

CONNECTING = "10s"  # how long to wait for the scheduler of a cluster


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``record`` is the path of its record, or None; then ``error`` says why."""

    run: Run
    record: Path | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class Event:
    """A run started (``step`` is 0), reached ``step`` of ``steps``, or ended (``outcome``)."""

    run: Run
    step: int = 0
    steps: int | None = None
    loss: float | None = None
    outcome: Outcome | None = None


class Progress(NamedTuple):
    """A line of progress of a run; ``step`` is 0 when it starts."""

    step: int = 0
    steps: int | None = None
    loss: float | None = None


class Result(NamedTuple):
    """What comes back from a run: its record as bytes, or the reason why there is none."""

    packed: record.Packed | None
    error: str | None
    seconds: float


Report = Callable[[Progress], None]
News = tuple[Run, Progress | Future[Result]]  # a run made progress, or ended


class Workers(Protocol):
    """A place where runs are trained; leaving its context after an exception ends what runs."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: Any) -> None: ...

    def submit(self, run: Run) -> Future[Result]:
        """Train ``run`` as soon as there is room."""
        ...


def ignore(event: Event) -> None:
    """Default event handler: does nothing."""


def train_all(
    runs: Sequence[Run],
    out: Path,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    on_event: Callable[[Event], None] = ignore,
) -> list[Outcome]:
    """Train all runs and report in their order how each ended.

    Records go to the folder ``out``, which must exist. Without ``cluster`` so many ``jobs`` run at
    a time on this machine (default: one for each core). ``cluster`` is the address of a Dask
    scheduler, such as ``tcp://10.0.0.1:8786``: then the runs are trained by its workers, which
    must have the same versions installed, and ``jobs`` is not used.

    A run whose child process is killed is reported as failed. A run whose Dask worker is killed is
    repeated on another worker; it is reported as failed after Dask's number of attempts.
    ``on_event`` is called in the calling thread. If it raises, or on Ctrl-C, the child processes
    are ended before the exception goes on. ValueError if the cluster cannot be reached.
    """
    news: SimpleQueue[News] = SimpleQueue()
    outcomes: dict[Run, Outcome] = {}
    started: set[Run] = set()
    waiting = list(dict.fromkeys(runs))
    with _workers(cluster, jobs, news) as workers:
        for run in waiting:
            workers.submit(run).add_done_callback(functools.partial(_announce, news, run))
        while len(outcomes) < len(waiting):
            run, item = news.get()
            if run in outcomes:  # a line of progress from a cluster may arrive late
                continue
            if run not in started:
                started.add(run)
                on_event(Event(run))
            if isinstance(item, Future):
                outcomes[run] = _outcome(run, item, out)
                on_event(Event(run, outcome=outcomes[run]))
            elif item.step:
                on_event(Event(run, *item))
    return [outcomes[run] for run in runs]


def cores() -> int:
    """How many cores this process may use, which is not always all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serving(run: Run) -> list[str]:
    """The arguments of a child process that trains this run and others of its framework."""
    return ["-m", MODULE, MANY, run.framework]


def train_in_child(run: Run, report: Report, child: Child) -> Result:
    """Train ``run`` in the child process, which has ended afterwards if there is no record."""
    report(Progress())
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        child.ask(run.request(Path(folder)))
        for line in child.lines():
            message = _message(line)
            if "step" in message:
                report(Progress(message["step"], message.get("steps"), message.get("loss")))
            if "record" in message:
                seconds = time.perf_counter() - begin
                return Result(record.read_packed(Path(message["record"])), None, seconds)
    ended = child.wait()
    seconds = time.perf_counter() - begin
    return Result(None, f"{ended.description}: {ended.message}", seconds)


def _message(line: str) -> dict[str, Any]:
    """The JSON object in a line of a worker's output; empty if a library has printed the line."""
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict):
            return message
    return {}


def _announce(news: "SimpleQueue[News]", run: Run, future: "Future[Result]") -> None:
    news.put((run, future))


def _outcome(run: Run, future: "Future[Result]", out: Path) -> Outcome:
    """How a run ended; writes its record."""
    try:
        result = future.result()
    except Exception as error:  # whatever Dask raises, also what unpickling raised on a worker
        reason = f"could not be trained: {type(error).__name__}: {error}"
        return Outcome(run, None, reason, 0.0)
    if result.packed is None:
        return Outcome(run, None, result.error, result.seconds)
    try:
        path = record.save(result.packed, out, run.name)
    except OSError as error:
        return Outcome(run, None, f"left a record that cannot be written: {error}", result.seconds)
    return Outcome(run, path, None, result.seconds)


def _workers(cluster: str | None, jobs: int | None, news: "SimpleQueue[News]") -> Workers:
    if cluster is None:
        return LocalWorkers(jobs or cores(), news)
    return ClusterWorkers(cluster, news)


class LocalWorkers:
    """Threads of this process, each of which has a child process for each framework that it met.

    So a framework is imported once a thread, not once a run.
    """

    def __init__(self, jobs: int, news: "SimpleQueue[News]") -> None:
        self._news = news
        self._pool = ThreadPoolExecutor(jobs, "samestep")
        self._children = Children()
        self._idle: dict[ChildKey, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        if kind is not None:
            self._children.stop()
        self._pool.shutdown(cancel_futures=kind is not None)
        for child in self._idle.values():
            child.wait()

    def submit(self, run: Run) -> "Future[Result]":
        """Train ``run`` as soon as a thread is free."""
        return self._pool.submit(self._train, run)

    def _train(self, run: Run) -> Result:
        key = ChildKey(threading.get_ident(), run.framework, run.threads)
        child = self._idle.pop(key, None) or self._children.start(serving(run), run.threads)
        result = train_in_child(run, lambda progress: self._news.put((run, progress)), child)
        if result.packed is not None:  # else the child has ended; the next run gets a new one
            self._idle[key] = child
        return result


class ChildKey(NamedTuple):
    """Which runs a child process trains: those that a thread takes, of a framework, with so many
    threads of its own.
    """

    thread: int
    framework: str
    threads: int


class ClusterWorkers:
    """The workers of a Dask cluster; a line of progress reaches ``news`` through its scheduler."""

    def __init__(self, address: str, news: "SimpleQueue[News]") -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ValueError(
                "a cluster needs distributed, which is not installed; "
                "pip install 'samestep[cluster]', or leave the cluster out"
            ) from error
        try:
            self._client = Client(address, timeout=CONNECTING, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"cluster must be the address of a Dask scheduler, got {address!r}: {error}; "
                "start one with: dask scheduler"
            ) from error
        self._news = news
        self._topic = f"samestep-{uuid.uuid4().hex}"
        self._runs: list[Run] = []
        self._client.subscribe_topic(self._topic, self._hear)
        self._executor = self._client.get_executor(pure=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *exception: Any) -> None:
        self._executor.shutdown(wait=kind is None)
        self._client.close()

    def submit(self, run: Run) -> "Future[Result]":
        """Train ``run`` on a worker of the cluster."""
        self._runs.append(run)
        index = len(self._runs) - 1
        future: Future[Result] = self._executor.submit(train_on_cluster, run, index, self._topic)
        return future

    def _hear(self, event: tuple[float, Any]) -> None:
        _, message = event
        self._news.put((self._runs[message["run"]], Progress(*message["progress"])))


def train_on_cluster(run: Run, index: int, topic: str) -> Result:
    """Train ``run`` on the Dask worker that calls this; progress goes to ``topic`` under ``index``.

    If the task is cancelled, the child process is ended at its next line of progress.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()
    child = Child(serving(run), run.threads)

    def report(progress: Progress) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            child.stop()
        worker.log_event(topic, {"run": index, "progress": list(progress)})

    result = train_in_child(run, report, child)
    if result.packed is not None:
        child.wait()
    return result
