"""A Dask cluster on this machine, for tests: a scheduler and two workers."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment import process

PATIENCE = 60  # seconds


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until ``condition`` gives something true, and return that."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"nothing happened in {PATIENCE} seconds")


class Cluster:
    """A Dask scheduler and workers, each a process of its own, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        where = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
        self._start("dask_scheduler", *where, "--port", "0")
        self.address: str = json.loads(wait_for(lambda: file.exists() and file.read_text()))[
            "address"
        ]
        self.folder = folder
        self.workers = [self.add_worker() for _ in range(2)]

    def _start(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.{program}", *options]
        started = subprocess.Popen(
            command,
            env=process.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(started)
        return started

    def add_worker(self) -> "subprocess.Popen[bytes]":
        """Start one more worker, with one thread and no process that would start it again."""
        place = ["--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(self.folder)]
        return self._start("dask_worker", self.address, *place, "--nthreads", "1", "--no-nanny")

    def close(self) -> None:
        """Kill all of them."""
        for started in reversed(self.processes):
            started.kill()
            started.wait()
