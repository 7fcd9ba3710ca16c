"""The work of a benchmark besides timing: load, warm up, check that weights move, describe."""

import importlib
import os
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from samestep.bench import sizes
from samestep.frameworks.experiment import record
from samestep.frameworks.experiment.run import options
from samestep.reference import dialects

WARM_STEPS = 3  # the first builds the state and compiles


class Stepper(NamedTuple):
    """One optimizer, ready to be timed.

    ``step`` takes one step and returns when it is done. ``weights`` copies the tensors that the
    step moves.
    """

    step: Callable[[], Any]
    weights: Callable[[], list[np.ndarray]]


def load(framework: str, threads: int, module: str) -> ModuleType:
    """Import ``module``, with the framework bound to so many threads.

    Skips the test where the framework is not installed.
    """
    from samestep.parity.tests.support.require import require  # it needs pytest

    if framework == "numpy":
        require("threadpoolctl")  # which binds NumPy's threads
    require(f"samestep.frameworks.{framework}.train").set_threads(threads)
    return require(module)


def warm_up(stepper: Stepper) -> float:
    """Take some steps, each of which must move every tensor.

    Gives the seconds of the first step, in which compilers work.
    """
    seconds = []
    for _ in range(WARM_STEPS):
        before = stepper.weights()
        start = time.perf_counter()
        stepper.step()
        seconds.append(time.perf_counter() - start)
        check_moved(before, stepper.weights())
    return seconds[0]


def check_moved(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> None:
    """Fail if a tensor has not changed, or is not finite: a benchmark of nothing must not pass."""
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        assert np.isfinite(new).all(), f"what is timed must stay finite, but tensor {index} did not"
        moved = not np.array_equal(old, new)
        assert moved, f"what is timed must move tensor {index}, but it stayed as it was"


def describe(benchmark: Any, framework: str, call: str, size: str = "mnist", **facts: Any) -> None:
    """Add to the benchmark's JSON what was timed, the machine, its load, and the versions."""
    benchmark.extra_info.update(
        framework=framework,
        call=call,
        rule=repr(dialects.read(call)),
        size=size,
        parameters=sizes.parameters(size),
        load=os.getloadavg()[0],
        versions=record.versions(framework),
        machine=record.machine(),
        settings=importlib.import_module(f"samestep.frameworks.{framework}.train").settings(),
        options=options(),
        **facts,
    )
