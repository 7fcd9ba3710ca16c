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
    """Train, and say what each stage of each step came to."""
    where = home(contestant)
    train: Any = importlib.import_module(f"samestep.frameworks.{where}.train")
    trainer = train.Trainer(contestant.rule or SGD(), "lockstep")
    if contestant.kind in ("native", "factory"):
        side: Any = importlib.import_module(f"samestep.parity.runners.{SIDES[where]}")
        make = called(contestant.text)[1] if contestant.kind == "factory" else side.maker(contestant)
        trainer.optimizer = make(trainer.parameters) if where == "pytorch" else make()
        if where == "tensorflow":
            trainer.optimizer.build(trainer.variables)
    step = {"numpy": _in_numpy, "pytorch": _in_pytorch, "tensorflow": _in_tensorflow}[where](trainer)
    data = mnist.load()
    for epoch in itertools.count(1):
        for indices, mask in facts.batches(epoch, len(data.train_labels)):
            if not total:
                return
            total -= 1
            batch = data.train_images[indices], data.train_labels[indices], mask
            logits, loss, gradients, states = step(*batch)
            yield {
                "data": dict(zip(("images", "labels", "mask"), batch, strict=True)),
                "forward": {"logits": logits},
                "loss": {"loss": np.array(loss).astype(np.float32)},  # libraries differ in the last bit of a logarithm
                "gradient": _named(gradients),
                "state": {f"{name} {k}": v for name, kept in zip(facts.NAMES, states, strict=True)
                          for k, v in sorted(kept.items())},
                "update": _named(trainer.weights()),
            }  # fmt: skip


Step = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, float, list[Any], list[dict[str, Any]]]]


def _in_numpy(trainer: Any) -> Step:
    from samestep.frameworks.numpy import model

    taken: list[Any] = []
    step = trainer.optimizer.step

    def watched(gradients: Any) -> None:
        taken.append(gradients)
        step(gradients)

    trainer.optimizer.step = watched

    def one(images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> Any:
        scaled = mask * trainer.computed(1 / (1 - facts.DROPOUT))
        *_, logits = model.forward(trainer._computed(), trainer._pixels(images), scaled, trainer.grid)
        loss = trainer.step(images, labels, mask)
        return logits, loss, taken.pop(), trainer.optimizer.state

    return one


def _in_pytorch(trainer: Any) -> Step:
    from samestep.parity.runners import pytorch as in_pytorch

    seen: list[Any] = []
    logits = trainer._logits

    def watched(*given: Any) -> Any:
        seen.append(logits(*given))
        return seen[-1]

    trainer._logits = watched

    def one(*batch: np.ndarray) -> Any:
        loss = trainer.step(*batch)
        gradients = [parameter.grad.numpy().T for parameter in trainer.parameters]
        states = [
            {k: v.T for k, v in kept.items()} for kept in in_pytorch.states(trainer.optimizer, trainer.parameters)
        ]
        return seen.pop().detach().numpy(), loss, gradients, states

    return one


def _in_tensorflow(trainer: Any) -> Step:
    import tensorflow as tf

    from samestep.parity.runners import keras as in_tensorflow

    seen: list[Any] = []

    @tf.function(autograph=False)
    def step(*batch: Any) -> Any:
        weights, (images, labels, mask) = trainer._weights(), trainer._batch(*batch)
        loss, gradients = trainer._gradients(weights, images, labels, mask)
        logits = trainer._logits(weights, images, mask)
        trainer.optimizer.apply(gradients)
        return loss, logits, gradients

    def watched(*given: Any) -> Any:
        seen.append(step(*given))
        return seen[-1][0]

    trainer._step = watched

    def one(*batch: np.ndarray) -> Any:
        loss = trainer.step(*batch)
        _, logits, gradients = seen.pop()
        states = in_tensorflow.states(trainer.optimizer, trainer.variables)
        return logits.numpy(), loss, [gradient.numpy() for gradient in gradients], states

    return one


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
