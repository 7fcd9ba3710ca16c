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
# The platform of the recorded digests. On others libraries may round exp differently.
PLATFORM = "Linux x86_64"


def load() -> dict[str, Any]:
    """The golden entries by call: the rule, and the digest and accuracy of each epoch."""
    return json.loads(FILE.read_text())["cases"]


def here() -> str:
    """The name of this platform, in the form of ``PLATFORM``."""
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
