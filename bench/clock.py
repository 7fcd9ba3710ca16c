"""What a benchmark does besides timing: load a framework, warm up, prove that weights move, say what was timed."""

import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from frameworks import experiment, record
from parity.require import require
from reference import dialects

WARM_STEPS = 3  # the first builds the state and compiles


class Stepper(NamedTuple):
    """``step`` takes one step and returns when it is done; ``weights`` copies the tensors that it moves."""

    step: Callable[[], Any]
    weights: Callable[[], list[np.ndarray]]


def load(framework: str, threads: int, module: str) -> ModuleType:
    """The module, with the framework bound to that many threads; skips where the framework is not installed."""
    if framework == "numpy":
        require("threadpoolctl")  # which binds NumPy's threads
    require(f"frameworks.{framework}.train").set_threads(threads)
    return require(module)


def gradients() -> list[np.ndarray]:
    """A float32 gradient for each weight of the experiment, without zeros: every element of every tensor must move."""
    generator = np.random.default_rng(experiment.SEED)
    return [generator.uniform(0.001, 0.1, w.shape).astype(np.float32) for w in experiment.initial_weights()]


def warm_up(stepper: Stepper) -> float:
    """Take some steps, each of which must move every tensor; the seconds of the first, in which compilers work."""
    seconds = []
    for _ in range(WARM_STEPS):
        before, start = stepper.weights(), time.perf_counter()
        stepper.step()
        seconds.append(time.perf_counter() - start)
        check_moved(before, stepper.weights())
    return seconds[0]


def check_moved(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> None:
    """Fail if any tensor is what it was: a benchmark of nothing must not pass."""
    for name, old, new in zip(experiment.NAMES, before, after, strict=True):
        assert not np.array_equal(old, new), f"what is timed must move the {name}, but it stayed as it was"


def describe(benchmark: Any, framework: str, call: str, **facts: Any) -> None:
    """Write into the benchmark's JSON what was timed, where, and with which versions."""
    benchmark.extra_info.update(
        framework=framework,
        call=call,
        rule=repr(dialects.read(call)),
        parameters=sum(weight.size for weight in experiment.initial_weights()),
        versions=record.versions(framework),
        machine=record.machine(),
        **facts,
    )
