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
from samestep.frameworks.experiment.trainer import Observation, Trainer
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.parity.runners import factories, specs
from samestep.parity.runners.specs import Kind, OptimizerSpec
from samestep.parity.runners.worker import RUNNERS, USAGE_ERROR, output_of
from samestep.reference import SGD

STAGES = ("data", "forward", "loss", "gradient", "state", "update")
HOMES = {  # the framework in which calls of a dialect are trained
    "pytorch": "pytorch", "keras": "tensorflow", "tf_keras": "tensorflow",
    "tensorflow1": "tensorflow",
    "article": "tensorflow", "tensorflow": "tensorflow",
}  # fmt: skip
FACTORY_HOMES = {"pytorch": "pytorch", "keras": "tensorflow"}

Stages = dict[str, dict[str, np.ndarray]]  # by stage, arrays by name; kernels are (in, out)


class MnistRun(NamedTuple):
    """A training run.

    ``digests`` (steps, stages), ``details`` all arrays of the detailed step, ``gradients`` by
    tensor (steps, *shape) if a step is kept, ``weights`` at marks, flat.
    """

    digests: np.ndarray
    details: Stages
    gradients: dict[str, np.ndarray]
    weights: dict[int, np.ndarray]


def home(spec: OptimizerSpec) -> str:
    """The framework that a spec trains in; a bare rule trains in NumPy."""
    if spec.kind is Kind.FACTORY:
        return FACTORY_HOMES[factories.from_text(spec.text).library]
    dialect = spec.dialect if spec.kind is Kind.RULE else spec.home
    if spec.kind is Kind.NATIVE and dialect not in ("pytorch", "keras"):
        raise ValueError(f"{spec.text} cannot be trained here: natives of pytorch and keras can")
    return HOMES.get(dialect, "numpy")


def steps(spec: OptimizerSpec, total: int) -> Iterator[Stages]:
    """Train ``total`` steps in this process; yields the arrays of each step by stage."""
    framework = home(spec)
    trainer = _trainer(spec, framework)
    states = _state_reader(framework, trainer)
    data = mnist.load()
    for images, labels, mask in itertools.islice(_batches(data), total):
        observations: list[Observation] = []
        trainer.step(images, labels, mask, observe=observations.append)
        (seen,) = observations
        yield {
            "data": {"images": images, "labels": labels, "mask": mask},
            "forward": {"logits": seen.logits},
            # libraries differ in the last bit of a logarithm
            "loss": {"loss": np.array(seen.loss).astype(np.float32)},
            "gradient": _named(seen.gradients),
            "state": _named_states(states()),
            "update": _named(trainer.weights()),
        }


def _named_states(states: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The state of all tensors, by the name of the tensor and that of the state."""
    named = {}
    for tensor, state in zip(facts.NAMES, states, strict=True):
        for name, array in sorted(state.items()):
            named[f"{tensor} {name}"] = array
    return named


def _trainer(spec: OptimizerSpec, framework: str) -> Trainer:
    """The trainer of a spec in its framework, with the spec's optimizer."""
    train: Any = importlib.import_module(f"samestep.frameworks.{framework}.train")
    trainer: Trainer = train.Trainer(spec.rule or SGD(), "lockstep")
    if spec.kind in (Kind.NATIVE, Kind.FACTORY):
        make = _maker(spec)
        if framework == "pytorch":
            trainer.optimizer = make(trainer.parameters)
        else:
            trainer.optimizer = make()
            trainer.optimizer.build(trainer.parameters)
    return trainer


def _maker(spec: OptimizerSpec) -> Callable[..., Any]:
    """The function that builds a native or a user's optimizer."""
    if spec.kind is Kind.FACTORY:
        return factories.from_text(spec.text).make
    if spec.call is None:
        raise ValueError(f"{spec.text} must be a native or a factory")
    runner: Any = importlib.import_module(f"samestep.parity.runners.{RUNNERS[spec.home]}")
    if spec.home == "pytorch":
        return runner.native_maker(spec.call, spec.mode)
    return runner.native_maker(spec.call)


def _state_reader(framework: str, trainer: Trainer) -> Callable[[], list[dict[str, np.ndarray]]]:
    """A function that gives the optimizer's state of each tensor, kernels (in, out)."""
    if framework == "numpy":
        return lambda: trainer.optimizer.state
    runner: Any = importlib.import_module(f"samestep.parity.runners.{RUNNERS[framework]}")
    if framework == "tensorflow":
        return lambda: runner.states(trainer.optimizer, trainer.parameters)
    return lambda: [
        {name: array.T for name, array in state.items()}
        for state in runner.states(trainer.optimizer, trainer.parameters)
    ]


def _batches(data: mnist.MNIST) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, labels and kept hidden units of step after step, epoch after epoch."""
    for epoch in itertools.count(1):
        for indices, mask in facts.batches(epoch, len(data.train_labels)):
            yield data.train_images[indices], data.train_labels[indices], mask


def _named(arrays: list[Any]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in zip(facts.NAMES, arrays, strict=True)}


def train(spec: OptimizerSpec, total: int, keep: int) -> MnistRun:
    """Train for ``total`` steps in this process, and keep all arrays of step ``keep`` (0: of
    none).
    """
    digests = []
    gradients: list[dict[str, np.ndarray]] = []
    weights = {}
    details: Stages = {}
    for number, stages in enumerate(steps(spec, total), start=1):
        digests.append([_digest(stages[stage]) for stage in STAGES])
        if keep:
            gradients.append(stages["gradient"])
        if number == keep:
            # torch changes its arrays in place
            details = {stage: _copies(stages[stage]) for stage in STAGES}
        if number in marks(total, total):
            weights[number] = np.concatenate([array.ravel() for array in stages["update"].values()])
    names = facts.NAMES if gradients else ()
    stacked = {name: np.array([step[name] for step in gradients]) for name in names}
    return MnistRun(np.array(digests), details, stacked, weights)


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
    pair: tuple[OptimizerSpec, OptimizerSpec], total: int, keep: int = 0
) -> tuple[MnistRun, MnistRun]:
    """Train both, each in a process of its own; ValueError if one cannot be trained."""
    with ThreadPoolExecutor(2) as pool:
        run_a, run_b = pool.map(lambda spec: _train_in_subprocess(spec, total, keep), pair)
    return run_a, run_b


def _train_in_subprocess(spec: OptimizerSpec, total: int, keep: int) -> MnistRun:
    with tempfile.TemporaryDirectory(prefix="samestep-") as folder:
        out = Path(folder) / "run.npz"
        request = {"text": spec.text, "steps": total, "keep": keep, "out": str(out)}
        output_of("samestep.parity.compare.mnist_worker", request)
        with np.load(out, allow_pickle=False) as file:
            return _unpack({name: file[name] for name in file.files})


def _pack(run: MnistRun) -> dict[str, np.ndarray]:
    arrays = {"digests": run.digests}
    for stage, details in run.details.items():
        for name, array in details.items():
            arrays[f"details/{stage}/{name}"] = array
    arrays |= {f"gradients/{name}": array for name, array in run.gradients.items()}
    return arrays | {f"weights/{step}": array for step, array in run.weights.items()}


def _unpack(arrays: dict[str, np.ndarray]) -> MnistRun:
    run = MnistRun(arrays.pop("digests"), {stage: {} for stage in STAGES}, {}, {})
    for path, array in arrays.items():
        part, _, name = path.partition("/")
        if part == "details":
            stage, _, name = name.partition("/")
            run.details[stage][name] = array
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
        spec = specs.read(request["text"])
        importlib.import_module(f"samestep.frameworks.{home(spec)}.train").set_threads(1)
        run = train(spec, request["steps"], request["keep"])
    except (ValueError, ImportError) as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        return USAGE_ERROR
    arrays = _pack(run)
    record.write_whole(Path(request["out"]), lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
