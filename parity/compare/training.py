"""The experiment, trained by two contestants, each in its framework and a process of its own, in lockstep.

``python -m samestep.parity.compare.training TEXT --steps N --keep K --out FILE`` trains N steps and writes FILE (.npz): of
every step a digest of each stage, the weights at marks; and where K is not 0, all arrays of step K and all gradients.
"""

import argparse
import hashlib
import importlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import facts, mnist, record
from samestep.frameworks.experiment.run import marks
from samestep.frameworks.experiment.trainer import Observation, Trainer
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import contestants
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import MISTAKE, SIDES, apart, called
from samestep.reference import SGD

STAGES = ("data", "forward", "loss", "gradient", "state", "update")
HOMES = {"pytorch": "pytorch", "keras": "tensorflow", "tf_keras": "tensorflow", "tensorflow1": "tensorflow",
         "article": "tensorflow", "tensorflow": "tensorflow"}  # fmt: skip

Seen = dict[str, dict[str, np.ndarray]]  # stage: name: array, kernels (in, out)


class Trained(NamedTuple):
    """A run: digests (steps, stages), the arrays of the kept step, the gradients by tensor (steps, *shape) if a
    step is kept, weights at marks, flat."""

    digests: np.ndarray
    seen: Seen
    gradients: dict[str, np.ndarray]
    weights: dict[int, np.ndarray]


def home(contestant: Contestant) -> str:
    """The framework that a contestant trains in; a bare rule trains in NumPy."""
    if contestant.kind == "factory":
        return called(contestant.text)[0]
    found = contestant.dialect if contestant.kind == "rule" else contestant.home
    if contestant.kind == "native" and found not in ("pytorch", "keras"):
        raise ValueError(f"{contestant.text} cannot be trained here: natives of pytorch and keras can")
    return HOMES.get(found, "numpy")


def steps(contestant: Contestant, total: int) -> Iterator[Seen]:
    """Train ``total`` steps in this process; yields the arrays of each step by stage."""
    framework = home(contestant)
    trainer = _trainer(contestant, framework)
    states = _state_reader(framework, trainer)
    data = mnist.load()
    for images, labels, mask in itertools.islice(_batches(data), total):
        observations: list[Observation] = []
        trainer.step(images, labels, mask, observe=observations.append)
        (seen,) = observations
        named_states = {
            f"{tensor} {name}": array
            for tensor, state in zip(facts.NAMES, states(), strict=True)
            for name, array in sorted(state.items())
        }
        yield {
            "data": {"images": images, "labels": labels, "mask": mask},
            "forward": {"logits": seen.logits},
            # libraries differ in the last bit of a logarithm
            "loss": {"loss": np.array(seen.loss).astype(np.float32)},
            "gradient": _named(seen.gradients),
            "state": named_states,
            "update": _named(trainer.weights()),
        }


def _trainer(contestant: Contestant, framework: str) -> Trainer:
    """The trainer of a contestant in its framework, with the contestant's optimizer."""
    train: Any = importlib.import_module(f"samestep.frameworks.{framework}.train")
    trainer: Trainer = train.Trainer(contestant.rule or SGD(), "lockstep")
    if contestant.kind in ("native", "factory"):
        side: Any = importlib.import_module(f"samestep.parity.runners.{SIDES[framework]}")
        factory = contestant.kind == "factory"
        make = called(contestant.text)[1] if factory else side.maker(contestant)
        if framework == "pytorch":
            trainer.optimizer = make(trainer.parameters)
        else:
            trainer.optimizer = make()
            trainer.optimizer.build(trainer.parameters)
    return trainer


def _state_reader(framework: str, trainer: Trainer) -> Callable[[], list[dict[str, np.ndarray]]]:
    """A function that gives the optimizer's state of each tensor, kernels (in, out)."""
    if framework == "numpy":
        return lambda: trainer.optimizer.state
    side: Any = importlib.import_module(f"samestep.parity.runners.{SIDES[framework]}")
    if framework == "tensorflow":
        return lambda: side.states(trainer.optimizer, trainer.parameters)
    return lambda: [
        {name: array.T for name, array in state.items()}
        for state in side.states(trainer.optimizer, trainer.parameters)
    ]


def _batches(data: mnist.MNIST) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, labels and kept hidden units of step after step, epoch after epoch."""
    for epoch in itertools.count(1):
        for indices, mask in facts.batches(epoch, len(data.train_labels)):
            yield data.train_images[indices], data.train_labels[indices], mask


def _named(arrays: list[Any]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in zip(facts.NAMES, arrays, strict=True)}


def train(contestant: Contestant, total: int, keep: int) -> Trained:
    """Train in this process."""
    digests, gradients, weights, seen = [], [], {}, {}
    for number, stages in enumerate(steps(contestant, total), start=1):
        digests.append([_digest(stages[stage]) for stage in STAGES])
        if keep:
            gradients.append(stages["gradient"])
        if number == keep:
            seen = {stage: {k: np.array(v) for k, v in stages[stage].items()} for stage in STAGES}  # torch moves on
        if number in marks(total, total):
            weights[number] = np.concatenate([array.ravel() for array in stages["update"].values()])
    told = {name: np.array([step[name] for step in gradients]) for name in (facts.NAMES if gradients else ())}
    return Trained(np.array(digests), seen, told, weights)


def _digest(arrays: dict[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name}{array.shape}".encode())
        sha.update((np.ascontiguousarray(array) + array.dtype.type(0)).tobytes())  # minus zero is zero
    return sha.hexdigest()


def both(pair: tuple[Contestant, Contestant], total: int, keep: int = 0) -> tuple[Trained, Trained]:
    """Train both, each in a process of its own; ValueError if one cannot be trained."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda contestant: _alone(contestant, total, keep), pair)
    return one, other


def _alone(contestant: Contestant, total: int, keep: int) -> Trained:
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        out = Path(folder) / "trained.npz"
        apart(
            "samestep.parity.compare.training",
            [contestant.text, "--steps", str(total), "--keep", str(keep), "--out", str(out)],
        )
        with np.load(out, allow_pickle=False) as file:
            return _unpacked({name: file[name] for name in file.files})


def _packed(run: Trained) -> dict[str, np.ndarray]:
    arrays = {"digests": run.digests}
    arrays |= {f"seen/{stage}/{name}": array for stage, kept in run.seen.items() for name, array in kept.items()}
    arrays |= {f"gradients/{name}": array for name, array in run.gradients.items()}
    return arrays | {f"weights/{step}": array for step, array in run.weights.items()}


def _unpacked(arrays: dict[str, np.ndarray]) -> Trained:
    run = Trained(arrays.pop("digests"), {stage: {} for stage in STAGES}, {}, {})
    for path, array in arrays.items():
        part, _, name = path.partition("/")
        if part == "seen":
            stage, _, name = name.partition("/")
            run.seen[stage][name] = array
        elif part == "gradients":
            run.gradients[name] = array
        else:
            run.weights[int(name)] = array
    return run


def trial(run: Trained) -> Trial:
    """The gradients of a run's first steps, to be given to both."""
    start = dict(zip(facts.NAMES, (w.astype(np.float64) for w in facts.initial_weights()), strict=True))
    count = len(next(iter(run.gradients.values())))
    wide = {name: array.astype(np.float64) for name, array in run.gradients.items()}
    return Trial(start, wide, {name: np.ones(count, bool) for name in start}, np.ones(count))


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m samestep.parity.compare.training", description="One contestant, trained."
    )
    parser.add_argument("text")
    for name in ("steps", "keep"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args(arguments)
    try:
        contestant = contestants.read(options.text)
        importlib.import_module(f"samestep.frameworks.{home(contestant)}.train").set_threads(1)
        run = train(contestant, options.steps, options.keep)
    except (ValueError, ImportError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return MISTAKE
    record.write_whole(options.out, lambda file: np.savez(file, **_packed(run)))  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main())
