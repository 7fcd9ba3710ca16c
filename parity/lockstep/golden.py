"""The golden digests of lockstep: ``samestep golden`` trains every case in every framework and records them.

It writes nothing unless the frameworks agree. ``--verify`` compares with the recorded digests instead, also under other
conditions: ``--threads 2``, ``--xla``.
"""

import dataclasses
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment import executor, record
from samestep.frameworks.experiment.run import FRAMEWORKS, Run
from samestep.parity.measure import cases
from samestep.reference import dialects

FILE = Path(__file__).with_name("golden.json")
CALLS = cases.TRAINED
EPOCHS = 5
PLATFORM = "Linux x86_64"  # where the digests were recorded; elsewhere libraries may round exp otherwise


def load() -> dict[str, Any]:
    """Call -> rule, digest and accuracy of each epoch."""
    return json.loads(FILE.read_text())["cases"]


def here() -> str:
    """This platform, as in ``PLATFORM``."""
    return f"{platform.system()} {platform.machine()}"


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Under which conditions the cases are trained."""

    frameworks: tuple[str, ...] = FRAMEWORKS
    epochs: int = EPOCHS
    threads: int = 1
    xla: bool = False

    def runs(self, calls: Sequence[str]) -> list[Run]:
        """Return the runs of these calls in every framework; ValueError for impossible conditions."""
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
    """Return the records of the runs, which go to the folder ``out``; ValueError with the message of a failed run."""
    outcomes = executor.train_all(runs, out, jobs=jobs, cluster=cluster, on_event=on_event)
    for outcome in outcomes:
        if outcome.record is None:
            raise ValueError(f"{outcome.run.name} {outcome.error}")
    return {outcome.run: record.read(outcome.record) for outcome in outcomes if outcome.record}


def agreed(call: str, records: dict[Run, record.Record]) -> dict[str, Any]:
    """The golden entry of a call; ValueError if the frameworks differ."""
    found = {run.framework: kept for run, kept in records.items() if run.call == call}
    if len({tuple(kept.digests) for kept in found.values()}) != 1:
        listing = ", ".join(f"{name} {[d[:12] for d in kept.digests]}" for name, kept in found.items())
        raise ValueError(f"{call}: the frameworks must agree before anything is recorded, got {listing}")
    kept = found["numpy"]
    if kept.order_dependent:
        raise ValueError(f"{call}: no element may depend on the order of a sum, got {kept.order_dependent}")
    accuracy = [epoch["accuracy"] for epoch in kept.epochs]
    return {"rule": repr(dialects.read(call)), "digests": kept.digests, "accuracy": accuracy}


def differing(records: dict[Run, record.Record], golden: dict[str, Any]) -> list[str]:
    """The runs whose digests are not the recorded ones, with the first epoch that differs."""
    found = []
    for run, kept in records.items():
        accuracies = [epoch["accuracy"] for epoch in kept.epochs]
        if accuracies != golden[run.call]["accuracy"][: len(accuracies)]:
            found.append(f"{run.name}: accuracies {accuracies}, recorded are {golden[run.call]['accuracy']}")
        for epoch, (digest, expected) in enumerate(zip(kept.digests, golden[run.call]["digests"], strict=False), 1):
            if digest != expected:
                found.append(f"{run.name}: epoch {epoch} ends with {digest[:12]}, recorded is {expected[:12]}")
                break
    return found


def save(entries: dict[str, dict[str, Any]], epochs: int) -> None:
    """Write the golden entries, by call, to the file that lies in the repository."""
    body = json.dumps({"platform": here(), "epochs": epochs, "cases": entries}, indent=1)
    record.write_whole(FILE, lambda file: file.write(f"{body}\n".encode()))
