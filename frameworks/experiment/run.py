r"""Training runs in a process of their own.

::

    python -m samestep.frameworks.experiment.run \
        '{"framework": "numpy", "call": "keras:Adam()", "out": "out"}'

The one argument is a JSON object: the fields of ``Run``, and ``out``, the folder for the record.
While the run goes on, the process prints one JSON object a line: ``step``, ``steps``, ``loss``;
the last line has the path of the ``record``. A user's mistake ends the process with exit code 2
and one line on standard error. With the arguments ``-`` and a framework the process reads such
objects from standard input, one a line, and trains one after another: it imports that framework
once.
"""

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
from types import ModuleType
from typing import Any

import numpy as np

from samestep.frameworks import FRAMEWORKS
from samestep.reference import Rule, dialects

from . import facts, mnist, record

MODULE = "samestep.frameworks.experiment.run"
# The names of environment variables that may change a result begin with one of these.
OPTIONS = (
    "ATEN_", "CUBLAS_", "CUDA_", "KERAS_", "MKL_", "NPY_", "NVIDIA_TF32", "OMP_", "ONEDNN_",
    "OPENBLAS_", "TF_", "TORCH", "XLA_",
)  # fmt: skip
PROGRESS = 125  # steps between two lines of progress, at most
MISTAKE = 2  # the exit code of a user's mistake
MANY = "-"  # the first argument of a process that reads its requests from standard input


@dataclasses.dataclass(frozen=True)
class Run:
    """What to train; ValueError if a field is not of its kind.

    ``call`` is a dialect's call as text. ``steps`` cuts the epochs short. ``xla`` asks
    TensorFlow's compiler for the loop, ``compiled`` PyTorch's for the whole step. ``data`` is the
    folder of the MNIST files; None stands for the usual place.
    """

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
            raise ValueError(
                f"framework must be one of {', '.join(FRAMEWORKS)}, got {self.framework!r}"
            )
        if self.arithmetic not in facts.ARITHMETICS:
            raise ValueError(
                f"arithmetic must be one of {', '.join(facts.ARITHMETICS)}, got {self.arithmetic!r}"
            )
        for name in ("epochs", "threads"):
            _check_count(name, getattr(self, name))
        if self.steps is not None:
            _check_count("steps", self.steps)
        for name in ("xla", "compiled"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if not isinstance(self.data, str | None):
            raise ValueError(f"data must be the path of a folder, got {self.data!r}")
        if not isinstance(self.call, str):
            raise ValueError(f"call must be a dialect's call as text, got {self.call!r}")
        call = dialects.read_call(self.call)
        call.rule()
        object.__setattr__(self, "call", dialects.in_one_line(self.call, call))

    @property
    def name(self) -> str:
        """A file name that no other run has."""
        parts = [self.call, self.framework, self.arithmetic, f"{self.epochs}ep", f"{self.threads}t"]
        if self.steps:
            parts.append(f"{self.steps}st")
        if self.xla:
            parts.append("xla")
        if self.compiled:
            parts.append("compiled")
        return re.sub(r"[^A-Za-z0-9.=]+", "_", "-".join(parts).replace("()", "")).strip("_")

    def request(self, out: Path) -> str:
        """The worker's argument, JSON, that makes this run's record in ``out``."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        changed = {
            field.name: values[field.name]
            for field in dataclasses.fields(self)
            if values[field.name] != field.default
        }
        return json.dumps({**changed, "out": str(out)})

    def arguments(self, out: Path) -> list[str]:
        """The arguments of ``python`` that make this run's record in ``out``."""
        return ["-m", MODULE, self.request(out)]


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")


def read_request(text: str) -> tuple[Run, Path]:
    """The inverse of ``Run.request``: the run and the folder for its record.

    ValueError if ``text`` is not such a JSON object.
    """
    example = '\'{"framework": "numpy", "call": "keras:Adam()", "out": "out"}\''
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the argument must be JSON like {example}: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"the argument must be a JSON object like {example}, got {text}")
    fields = dataclasses.fields(Run)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    allowed = [*(field.name for field in fields), "out"]
    for name in (*required, "out"):
        if name not in values:
            raise ValueError(f"the argument must have {name}, like {example}; got {text}")
    for name in values:
        if name not in allowed:
            raise ValueError(f"the argument may have {', '.join(allowed)}, got {name!r}")
    out = values.pop("out")
    if not isinstance(out, str):
        raise ValueError(f"out must be the path of a folder, got {out!r}")
    return Run(**values), Path(out)


def marks(steps: int, epoch: int) -> set[int]:
    """The steps whose weights are recorded: 1, 2, 5, 10, ..., ends of epochs, and the last."""
    powers = {m * 10**k for m, k in itertools.product((1, 2, 5), range(7))}
    return powers | set(range(epoch, steps + 1, epoch)) | {steps}


def stretches(
    done: int, end: int, marked: set[int], alone: bool = False
) -> Iterator[tuple[int, int]]:
    """Cut the steps from ``done`` to ``end`` into stretches: pairs of first and last step.

    A stretch ends at a mark or at a line of progress. With ``alone`` a step that ends at a mark
    is a stretch of its own.
    """
    cuts = {step for step in marked if done < step < end}
    cuts |= set(range(done + PROGRESS, end, PROGRESS)) | {end}
    if alone:
        cuts |= {step - 1 for step in marked if done < step - 1 < end}
    return itertools.pairwise([done, *sorted(cuts)])


def execute(run: Run, out: Path) -> Iterator[dict[str, Any]]:
    """Train and write the record to ``out``; yields lines of progress, then the record's path."""
    train = importlib.import_module(f"samestep.frameworks.{run.framework}.train")
    train.set_threads(run.threads)
    data = mnist.load(Path(run.data) if run.data else None)
    rule = dialects.read(run.call)
    trainer = train.Trainer(rule, run.arithmetic, xla=run.xla, compiled=run.compiled)
    result = record.Record(_header(run, rule, train))
    checked = run.framework == "numpy" and run.arithmetic == "lockstep"
    if checked:
        result.order_dependent = 0
    size = len(data.train_labels)
    per_epoch = size // facts.BATCH
    total = min(run.epochs * per_epoch, run.steps or run.epochs * per_epoch)
    marked = marks(total, per_epoch)
    marked_weights = {}
    path = 0.0
    started = time.perf_counter()
    for epoch in range(1, -(-total // per_epoch) + 1):
        begun = len(result.losses)
        draws = facts.draw(epoch, size).first(total - begun)
        trainer.begin(data.train_images, data.train_labels, draws)
        for first, last in stretches(begun, begun + len(draws.order), marked, checked):
            if result.order_dependent is not None and last in marked:
                result.order_dependent += trainer.order_dependent(*trainer.batch(first - begun))
            steps = trainer.advance(first - begun, last - begun)
            result.losses += steps.losses.tolist()
            path += float(steps.lengths.sum())
            if last in marked:
                weights = trainer.weights()
                marked_weights[last] = np.concatenate([np.ravel(weight) for weight in weights])
                digest = facts.digest(weights)
                result.marks.append({"step": last, "epoch": epoch, "digest": digest, "path": path})
            loss = float(np.mean(result.losses[-PROGRESS:]))
            yield {"step": last, "steps": total, "loss": loss}
        result.epochs.append(
            {
                "epoch": epoch,
                "steps": len(result.losses),
                "accuracy": trainer.accuracy(data.test_images, data.test_labels),
                "digest": result.marks[-1]["digest"],
                "seconds": time.perf_counter() - started,
            }
        )
    yield {"record": str(record.write(result, marked_weights, out, run.name))}


def _header(run: Run, rule: Rule, train: ModuleType) -> dict[str, Any]:
    """What a record says about its run, its rule, the framework and the machine."""
    return {
        **dataclasses.asdict(run),
        "name": run.name,
        "rule": repr(rule),
        "hyperparameters": rule.to_dict(),
        "dialect": dialects.parse(run.call)[0],
        "device": train.DEVICE,
        "seed": facts.SEED,
        "versions": record.versions(run.framework),
        "machine": record.machine(),
        "options": options(),
        "settings": train.settings(),
    }


def options() -> dict[str, str]:
    """The environment variables that a result may depend on."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(OPTIONS)}


def writable(folder: Path) -> Path:
    """Make the folder if need be; ValueError if it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The name is this process's own, so that runs that start together do not collide.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{folder} must be a folder that can be written to: {error}; name another with --out"
        ) from error
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Run the request in ``arguments`` (default: the command line's); the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if len(given) != 1 + (given[:1] == [MANY]):
            raise ValueError(
                f"there must be one argument, a JSON object, or {MANY} and a framework; "
                f"got {len(given)}"
            )
        for request in sys.stdin if given[0] == MANY else given:
            run, out = read_request(request)
            for event in execute(run, writable(out)):
                print(json.dumps(event), flush=True)
    except (ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return MISTAKE
    return 0


if __name__ == "__main__":
    sys.exit(main())
