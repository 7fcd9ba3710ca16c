"""The experiment, trained by two optimizers, each in its framework and a process of its own, in
lockstep.

``python -m samestep.parity.compare.mnist_worker REQUEST`` takes one JSON argument, ``{"text": ...,
"steps": N, "keep": K, "out": path}``. It trains N steps and writes an .npz file: of every step a
digest of each stage, the weights at marks; and where K is not 0, all arrays of step K and all
gradients.
"""

import hashlib
import importlib
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from samestep.frameworks.experiment import facts, mnist, record
from samestep.frameworks.experiment.run import marks
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.parity.runners import contestants, factories
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RUNNERS, USAGE_ERROR, output_of
from samestep.reference import SGD

STAGES = ("data", "forward", "loss", "gradient", "state", "update")
HOMES = {  # the framework in which calls of a dialect are trained
    "pytorch": "pytorch", "keras": "tensorflow", "tf_keras": "tensorflow", "tensorflow1": "tensorflow",
    "article": "tensorflow", "tensorflow": "tensorflow",
}  # fmt: skip
FACTORY_HOMES = {"pytorch": "pytorch", "keras": "tensorflow"}

Stages = dict[str, dict[str, np.ndarray]]  # by stage, arrays by name; kernels are (in, out)


class MnistRun(NamedTuple):
    """A training run.

    ``digests`` (steps, stages), ``kept`` all arrays of the kept step, ``gradients`` by tensor
    (steps, *shape) if a step is kept, ``weights`` at marks, flat.
    """

    digests: np.ndarray
    kept: Stages
    gradients: dict[str, np.ndarray]
    weights: dict[int, np.ndarray]


def home(contestant: Contestant) -> str:
    """The framework that a contestant trains in; a bare rule trains in NumPy."""
    if contestant.kind == "factory":
        return FACTORY_HOMES[factories.from_text(contestant.text).library]
    dialect = contestant.dialect if contestant.kind == "rule" else contestant.home
    if contestant.kind == "native" and dialect not in ("pytorch", "keras"):
        raise ValueError(
            f"{contestant.text} cannot be trained here: natives of pytorch and keras can"
        )
    return HOMES.get(dialect, "numpy")


def steps(contestant: Contestant, total: int) -> Iterator[Stages]:
    """Train, and say what each stage of each step came to."""
    where = home(contestant)
    train: Any = importlib.import_module(f"samestep.frameworks.{where}.train")
    trainer = train.Trainer(contestant.rule or SGD(), "lockstep")
    if contestant.kind in ("native", "factory"):
        make = _maker(contestant)
        trainer.optimizer = make(trainer.parameters) if where == "pytorch" else make()
        if where == "tensorflow":
            trainer.optimizer.build(trainer.variables)
    step = {"numpy": _in_numpy, "pytorch": _in_pytorch, "tensorflow": _in_tensorflow}[where](
        trainer
    )
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
                # libraries differ in the last bit of a logarithm
                "loss": {"loss": np.array(loss).astype(np.float32)},
                "gradient": _named(gradients),
                "state": {f"{name} {k}": v for name, kept in zip(facts.NAMES, states, strict=True)
                          for k, v in sorted(kept.items())},
                "update": _named(trainer.weights()),
            }  # fmt: skip


def _maker(contestant: Contestant) -> Callable[..., Any]:
    """The function that builds a native or a user's optimizer."""
    if contestant.kind == "factory":
        return factories.from_text(contestant.text).make
    if contestant.call is None:
        raise ValueError(f"{contestant.text} must be a native or a factory")
    runner: Any = importlib.import_module(f"samestep.parity.runners.{RUNNERS[contestant.home]}")
    if contestant.home == "pytorch":
        return runner.native_maker(contestant.call, contestant.mode)
    return runner.native_maker(contestant.call)


Step = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, float, list[Any], list[dict[str, Any]]]
]


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
        *_, logits = model.forward(
            trainer._computed(), trainer._pixels(images), scaled, trainer.grid
        )
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
            {k: v.T for k, v in kept.items()}
            for kept in in_pytorch.states(trainer.optimizer, trainer.parameters)
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


def train(contestant: Contestant, total: int, keep: int) -> MnistRun:
    """Train for ``total`` steps in this process, and keep all arrays of step ``keep`` (0: of none)."""
    digests = []
    gradients: list[dict[str, np.ndarray]] = []
    weights = {}
    kept: Stages = {}
    for number, stages in enumerate(steps(contestant, total), start=1):
        digests.append([_digest(stages[stage]) for stage in STAGES])
        if keep:
            gradients.append(stages["gradient"])
        if number == keep:
            # torch changes its arrays in place
            kept = {stage: _copies(stages[stage]) for stage in STAGES}
        if number in marks(total, total):
            weights[number] = np.concatenate([array.ravel() for array in stages["update"].values()])
    names = facts.NAMES if gradients else ()
    stacked = {name: np.array([step[name] for step in gradients]) for name in names}
    return MnistRun(np.array(digests), kept, stacked, weights)


def _copies(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in arrays.items()}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name}{array.shape}".encode())
        # minus zero is zero
        sha.update((np.ascontiguousarray(array) + array.dtype.type(0)).tobytes())
    return sha.hexdigest()


def train_both(
    pair: tuple[Contestant, Contestant], total: int, keep: int = 0
) -> tuple[MnistRun, MnistRun]:
    """Train both, each in a process of its own; ValueError if one cannot be trained."""
    with ThreadPoolExecutor(2) as pool:
        run_a, run_b = pool.map(
            lambda contestant: _train_in_subprocess(contestant, total, keep), pair
        )
    return run_a, run_b


def _train_in_subprocess(contestant: Contestant, total: int, keep: int) -> MnistRun:
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        out = Path(folder) / "run.npz"
        request = {"text": contestant.text, "steps": total, "keep": keep, "out": str(out)}
        output_of("samestep.parity.compare.mnist_worker", request)
        with np.load(out, allow_pickle=False) as file:
            return _unpack({name: file[name] for name in file.files})


def _pack(run: MnistRun) -> dict[str, np.ndarray]:
    arrays = {"digests": run.digests}
    for stage, kept in run.kept.items():
        for name, array in kept.items():
            arrays[f"kept/{stage}/{name}"] = array
    arrays |= {f"gradients/{name}": array for name, array in run.gradients.items()}
    return arrays | {f"weights/{step}": array for step, array in run.weights.items()}


def _unpack(arrays: dict[str, np.ndarray]) -> MnistRun:
    run = MnistRun(arrays.pop("digests"), {stage: {} for stage in STAGES}, {}, {})
    for path, array in arrays.items():
        part, _, name = path.partition("/")
        if part == "kept":
            stage, _, name = name.partition("/")
            run.kept[stage][name] = array
        elif part == "gradients":
            run.gradients[name] = array
        else:
            run.weights[int(name)] = array
    return run


def trial_of(run: MnistRun) -> Trial:
    """A trial of the gradients of a run's first steps."""
    weights = zip(facts.NAMES, facts.initial_weights(), strict=True)
    gradients = {name: array.astype(np.float64) for name, array in run.gradients.items()}
    count = len(next(iter(gradients.values())))
    return of_arrays(
        {name: weight.astype(np.float64) for name, weight in weights}, gradients, np.ones(count)
    )


def main(arguments: Sequence[str]) -> int:
    """The worker's process; the exit code."""
    request = json.loads(arguments[0])
    try:
        contestant = contestants.read(request["text"])
        importlib.import_module(f"samestep.frameworks.{home(contestant)}.train").set_threads(1)
        run = train(contestant, request["steps"], request["keep"])
    except (ValueError, ImportError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return USAGE_ERROR
    arrays = _pack(run)
    record.write_whole(Path(request["out"]), lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
