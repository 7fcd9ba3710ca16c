"""The golden digests of lockstep: ``samestep golden`` trains every case in every framework and
records them.

It writes nothing unless the frameworks agree. ``--verify`` compares with the recorded digests
instead, also under other conditions: ``--threads 2``, ``--xla``.
"""

import dataclasses
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from samestep.frameworks import FRAMEWORKS
from samestep.frameworks.experiment import executor, record
from samestep.frameworks.experiment.run import Run
from samestep.parity.measure import cases
from samestep.reference import dialects

FILE = Path(__file__).with_name("golden.json")
CALLS = cases.TRAINED
EPOCHS = 5
# The platform of the recorded digests. On others libraries may round exp differently.
PLATFORM = "Linux x86_64"


def load() -> dict[str, Any]:
    """The golden entries by call: the rule, and the digest and accuracy of each epoch."""
    return json.loads(FILE.read_text())["cases"]


def here() -> str:
    """The name of this platform, in the form of ``PLATFORM``."""
    return f"{platform.system()} {platform.machine()}"


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Under which conditions the cases are trained."""

    frameworks: tuple[str, ...] = FRAMEWORKS
    epochs: int = EPOCHS
    threads: int = 1
    xla: bool = False

    def runs(self, calls: Sequence[str]) -> list[Run]:
        """Return the runs of these calls in every framework; ValueError for impossible
        conditions.
        """
        runs: list[Run] = []
        for call in calls:
            runs += [self._run(framework, call) for framework in self.frameworks]
        return runs

    def _run(self, framework: str, call: str) -> Run:
        return Run(framework, call, epochs=self.epochs, threads=self.threads, xla=self.xla)


def train(
    runs: Sequence[Run],
    out: Path,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    on_event: Callable[[executor.Event], None] = executor.ignore,
) -> dict[Run, record.Record]:
    """Return the records of the runs, which go to the folder ``out``; ValueError with the message
    of a failed run.
    """
    outcomes = executor.train_all(runs, out, jobs=jobs, cluster=cluster, on_event=on_event)
    for outcome in outcomes:
        if outcome.record is None:
            raise ValueError(f"{outcome.run.name} {outcome.error}")
    return {outcome.run: record.read(outcome.record) for outcome in outcomes if outcome.record}


def agreed(call: str, records: dict[Run, record.Record]) -> dict[str, Any]:
    """The golden entry of a call; ValueError if the frameworks differ."""
    of_call = {run.framework: entry for run, entry in records.items() if run.call == call}
    if len({tuple(entry.digests) for entry in of_call.values()}) != 1:
        listing = ", ".join(f"{name} {_short(entry.digests)}" for name, entry in of_call.items())
        raise ValueError(
            f"{call}: the frameworks must agree before anything is recorded, got {listing}"
        )
    in_numpy = of_call["numpy"]
    if in_numpy.order_dependent:
        raise ValueError(
            f"{call}: no element may depend on the order of a sum, got {in_numpy.order_dependent}"
        )
    accuracy = [epoch["accuracy"] for epoch in in_numpy.epochs]
    return {"rule": repr(dialects.read(call)), "digests": in_numpy.digests, "accuracy": accuracy}


def _short(digests: list[str]) -> list[str]:
    return [digest[:12] for digest in digests]


def differing(records: dict[Run, record.Record], golden: dict[str, Any]) -> list[str]:
    """A message for each run whose digests or accuracies are not the recorded ones.

    It names the first epoch that differs. ``golden`` has the golden entries by call.
    """
    messages = []
    for run, actual in records.items():
        recorded = golden[run.call]
        accuracies = [epoch["accuracy"] for epoch in actual.epochs]
        expected = recorded["accuracy"]
        if accuracies != expected[: len(accuracies)]:
            messages.append(f"{run.name}: accuracies {accuracies}, recorded are {expected}")
        epoch = _first_difference(actual.digests, recorded["digests"])
        if epoch is not None:
            digest, expected_digest = _short([actual.digests[epoch], recorded["digests"][epoch]])
            messages.append(
                f"{run.name}: epoch {epoch + 1} ends with {digest}, recorded is {expected_digest}"
            )
    return messages


def _first_difference(digests: list[str], expected: list[str]) -> int | None:
    """The first epoch (from 0) whose digests differ, among those that both have; None if none."""
    for epoch, (actual, recorded) in enumerate(zip(digests, expected, strict=False)):
        if actual != recorded:
            return epoch
    return None


def save(entries: dict[str, dict[str, Any]], epochs: int) -> None:
    """Write the golden entries, by call, to the file that lies in the repository."""
    body = json.dumps({"platform": here(), "epochs": epochs, "cases": entries}, indent=1)
    record.write_whole(FILE, lambda file: file.write(f"{body}\n".encode()))
