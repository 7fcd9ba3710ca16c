"""The golden digests of lockstep: ``python -m samestep.parity.lockstep.golden`` trains every case in every framework and records them.

It writes nothing unless the frameworks agree. ``--verify`` compares with what is recorded instead, also under other
conditions: ``--threads 2``, ``--xla``.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from samestep.frameworks.experiment import executor, record
from samestep.frameworks.experiment.run import FRAMEWORKS, Run, writable
from samestep.parity.measure import cases
from samestep.reference import dialects

FILE = Path(__file__).with_name("golden.json")
EPOCHS = 5
PLATFORM = "Linux x86_64"  # where the digests were recorded; elsewhere libraries may round exp otherwise


def load() -> dict[str, Any]:
    """Call -> rule, digest and accuracy of each epoch."""
    return json.loads(FILE.read_text())["cases"]


def here() -> str:
    """This platform, as in ``PLATFORM``."""
    return f"{platform.system()} {platform.machine()}"


def train(
    runs: list[Run], out: Path, jobs: int | None, cluster: str | None = None
) -> dict[Run, record.Record]:
    """The records of the runs; ValueError with the message of the first that failed."""
    outcomes = executor.train_all(runs, out, jobs=jobs, cluster=cluster, on_event=_say)
    for outcome in outcomes:
        if outcome.record is None:
            raise ValueError(f"{outcome.run.name} {outcome.error}")
    return {outcome.run: record.read(outcome.record) for outcome in outcomes if outcome.record}


def _say(event: executor.Event) -> None:
    if event.outcome:
        print(f"{event.outcome.seconds:6.1f} s  {event.run.name} {event.outcome.error or ''}", flush=True)


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


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m samestep.parity.lockstep.golden", description=__doc__)
    parser.add_argument("--verify", action="store_true", help="compare with the recorded digests; write nothing")
    parser.add_argument("--add", action="store_true", help="record only the cases that are not recorded yet")
    parser.add_argument("--xla", action="store_true", help="with --verify: TensorFlow alone, under XLA")
    parser.add_argument("--threads", type=int, default=1, help="with --verify: threads of each run")
    parser.add_argument("--frameworks", default=",".join(FRAMEWORKS), help="with --verify: these alone")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--cluster", help="train on the workers of this Dask scheduler's address")
    parser.add_argument("--out", type=Path, help="keep the records in this folder")
    options = parser.parse_args(arguments)
    chosen = ["tensorflow"] if options.xla else options.frameworks.split(",")
    try:
        recorded = load() if options.add else {}
        calls = [call for call in cases.TRAINED if call not in recorded]
        runs = [
            Run(name, call, epochs=options.epochs, threads=options.threads, xla=options.xla)
            for call in calls for name in (chosen if options.verify else FRAMEWORKS)
        ]  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            records = train(runs, writable(options.out or Path(folder)), options.jobs, options.cluster)
        if options.verify:
            differences = differing(records, load())
            print("\n".join(differences) or f"all {len(runs)} runs end with the recorded digests")
            return int(bool(differences))
        found = {call: recorded.get(call) or agreed(call, records) for call in cases.TRAINED}
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    body = json.dumps({"platform": here(), "epochs": options.epochs, "cases": found}, indent=1)
    record.write_whole(FILE, lambda file: file.write(f"{body}\n".encode()))
    print(f"{FILE.name}: {len(found)} cases recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
