"""One training run, a process of its own.

``python -m samestep.frameworks.experiment.run --framework numpy --call "keras:Adam()" --out out``

While it runs it prints one JSON object a line on standard output: ``step``, ``steps``, ``loss``. A mistake of the
caller's ends it with exit code 2 and one line on standard error.
"""

import argparse
import dataclasses
import importlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from samestep.reference import dialects

from . import facts, mnist, record

FRAMEWORKS = ("numpy", "pytorch", "tensorflow")
OPTIONS = (  # beginnings of the names of environment variables that may change a result
    "ATEN_", "CUBLAS_", "CUDA_", "KERAS_", "MKL_", "NPY_", "NVIDIA_TF32", "OMP_", "ONEDNN_", "OPENBLAS_", "TF_",
    "TORCH", "XLA_",
)  # fmt: skip
PROGRESS = 125  # steps between two lines of progress, at most


@dataclasses.dataclass(frozen=True)
class Run:
    """What to train. ``call`` is a dialect's call as text; ``steps`` cuts the epochs short; ``xla`` is TensorFlow's,
    ``compiled`` PyTorch's: a compiler for the whole step."""

    framework: str
    call: str
    arithmetic: str = "lockstep"
    epochs: int = 1
    steps: int | None = None
    threads: int = 1
    xla: bool = False
    compiled: bool = False
    data: str | None = None

    def __post_init__(self) -> None:
        if self.framework not in FRAMEWORKS:
            raise ValueError(f"framework must be one of {', '.join(FRAMEWORKS)}, got {self.framework!r}")
        if self.arithmetic not in facts.ARITHMETICS:
            raise ValueError(f"arithmetic must be one of {', '.join(facts.ARITHMETICS)}, got {self.arithmetic!r}")
        for name in ("epochs", "threads", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        dialects.read(self.call)

    @property
    def name(self) -> str:
        """A file name that tells this run from others."""
        parts = [self.call, self.framework, self.arithmetic, f"{self.epochs}ep", f"{self.threads}t"]
        parts += [f"{self.steps}st"] * (self.steps is not None) + ["xla"] * self.xla
        parts += ["compiled"] * self.compiled
        return re.sub(r"[^A-Za-z0-9.=]+", "_", "-".join(parts).replace("()", "")).strip("_")

    def command(self, out: Path) -> list[str]:
        """The command that makes this run's record in ``out``."""
        words = [sys.executable, "-m", "samestep.frameworks.experiment.run", "--out", str(out)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is True:
                words.append(f"--{field.name}")
            elif value not in (None, False):
                words += [f"--{field.name}", str(value)]
        return words


def marks(steps: int, epoch: int) -> set[int]:
    """The steps at which weights are kept: 1, 2, 5, 10, ..., each end of an epoch, and the last."""
    return {m * 10**k for k in range(7) for m in (1, 2, 5)} | set(range(epoch, steps + 1, epoch)) | {steps}


def stretches(done: int, end: int, keep: set[int], alone: bool = False) -> Iterator[tuple[int, int]]:
    """The steps from ``done`` to ``end`` in stretches, each to a mark or a line of progress; ``alone``: a step that
    ends at a mark is a stretch of its own."""
    cuts = {step for step in keep if done < step < end} | set(range(done + PROGRESS, end, PROGRESS)) | {end}
    if alone:
        cuts |= {step - 1 for step in keep if done < step - 1 < end}
    return itertools.pairwise([done, *sorted(cuts)])


def execute(run: Run, out: Path) -> Iterator[dict[str, Any]]:
    """Train and write the record to ``out``; yields progress, last of all the record's path."""
    train = importlib.import_module(f"samestep.frameworks.{run.framework}.train")
    train.set_threads(run.threads)
    data = mnist.load(Path(run.data) if run.data else None)
    rule = dialects.read(run.call)
    trainer = train.Trainer(rule, run.arithmetic, xla=run.xla, compiled=run.compiled)
    result = record.Record(_header(run, rule, train.DEVICE, train.settings()))
    if run.framework == "numpy" and run.arithmetic == "lockstep":
        result.order_dependent = 0
    counting = result.order_dependent is not None
    size = len(data.train_labels)
    per_epoch = size // facts.BATCH
    total = min(run.epochs * per_epoch, run.steps or run.epochs * per_epoch)
    keep, kept = marks(total, per_epoch), {}
    path, started = 0.0, time.perf_counter()
    for epoch in range(1, -(-total // per_epoch) + 1):
        begun = len(result.losses)
        draws = facts.draw(epoch, size).first(total - begun)
        trainer.begin(data.train_images, data.train_labels, draws)
        for first, last in stretches(begun, begun + len(draws.order), keep, counting):
            if counting and last in keep:
                result.order_dependent += trainer.order_dependent(*trainer.batch(first - begun))
            steps = trainer.advance(first - begun, last - begun)
            result.losses += steps.losses.tolist()
            path += float(steps.lengths.sum())
            if last in keep:
                weights = trainer.weights()
                kept[last] = np.concatenate([np.ravel(weight) for weight in weights])
                result.marks.append({"step": last, "epoch": epoch, "digest": facts.digest(weights), "path": path})
            yield {"step": last, "steps": total, "loss": float(np.mean(result.losses[-PROGRESS:]))}
        accuracy = trainer.accuracy(data.test_images, data.test_labels)
        result.epochs.append({
            "epoch": epoch, "steps": len(result.losses), "accuracy": accuracy, "digest": result.marks[-1]["digest"],
            "seconds": time.perf_counter() - started,
        })  # fmt: skip
    yield {"record": str(record.write(result, kept, out, run.name))}


def _header(run: Run, rule: Any, device: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        **dataclasses.asdict(run), "name": run.name, "rule": repr(rule), "hyperparameters": rule.to_dict(),
        "dialect": dialects.parse(run.call)[0], "device": device, "seed": facts.SEED,
        "versions": record.versions(run.framework), "machine": record.machine(), "options": options(),
        "settings": settings,
    }  # fmt: skip


def options() -> dict[str, str]:
    """What the environment asks of the libraries, as far as a result may depend on it."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(OPTIONS)}


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m samestep.frameworks.experiment.run", description="One training run, one record."
    )
    for field in dataclasses.fields(Run):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            kind = int if field.name in ("epochs", "steps", "threads") else str
            required = field.default is dataclasses.MISSING
            default = None if required else field.default
            parser.add_argument(f"--{field.name}", type=kind, required=required, default=default)
    parser.add_argument("--out", required=True)
    given = vars(parser.parse_args(arguments))
    out = Path(given.pop("out"))
    try:
        run = Run(**given)
        writable(out)
        for event in execute(run, out):
            print(json.dumps(event), flush=True)
    except (ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def writable(folder: Path) -> Path:
    """Make the folder if need be; ValueError if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # under a name of its own: runs that start together try together
            pass
    except OSError as error:
        raise ValueError(
            f"{folder} must be a folder that can be written to: {error}; name another with --out"
        ) from error
    return folder


if __name__ == "__main__":
    sys.exit(main())
