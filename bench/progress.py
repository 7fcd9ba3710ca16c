"""The lines on the screen while benchmarks run, and the table after them."""

import time
from typing import Any

import pytest


class Progress:
    """A line for each benchmark: which of how many, what it took, and about how long the rest
    takes.
    """

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter
        self.count = 0
        self.ended = 0
        self.begin = 0.0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin to count."""
        self.count = len(session.items)
        self.begin = time.perf_counter()
        self.reporter.showfspath = False

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Name the benchmark before it runs, since the first step of some compiles for seconds."""
        name = nodeid.partition("[")[2].rstrip("]") or nodeid
        self.reporter.write(f"{self.ended + 1:4} of {self.count}  {name} ... ", flush=True)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """In place of pytest's dots."""
        return (report.outcome, "", "") if report.when == "call" or report.skipped else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End the benchmark's line."""
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.ended += 1
            outcome = f"{report.duration:.1f} s" if report.passed else report.outcome
            self.reporter.write(f"{outcome}; {self.rest()} left\n", flush=True)

    def rest(self) -> str:
        """How long the other benchmarks take if they are like those that have run."""
        passed = time.perf_counter() - self.begin
        seconds = passed / self.ended * (self.count - self.ended)
        return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
