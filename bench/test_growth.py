"""How the cost of a step grows with the number of parameters, and with the number of tensors."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from samestep.bench import clock, sizes
from samestep.bench.options import Options
from samestep.bench.test_steps import FRAMEWORKS
from samestep.reference import dialects

CALLS = ("pytorch:Adam(lr=0.001)", "keras:Adam(learning_rate=0.001)")
MODES = {
    "pytorch": (
        ("ours", "compiled"),
        ("ours", "eager"),
        ("native", "fused"),
        ("native", "for-loop"),
    ),
    "tensorflow": (("ours", "xla"), ("native", "xla"), ("native", "graph")),
}
QUICK = {"parameters": 10**7, "tensors": 10**2}  # the most that --quick measures


class Point(NamedTuple):
    """One step to be timed, on tensors of one size."""

    framework: str
    call: str
    whose: str  # "ours" or "native"
    mode: str
    what: str  # grows: "parameters" or "tensors"
    amount: int


def points() -> Iterator[Any]:
    """Every point of every curve."""
    for call in CALLS:
        framework = FRAMEWORKS[call.partition(":")[0]]
        for whose, mode in MODES[framework]:
            for what, counts in sizes.GROWTH.items():
                for count in counts:
                    marks = [pytest.mark.compiled] if mode == "compiled" else []
                    name = f"{framework}-{whose}-{mode}-{count}-{what}"
                    point = Point(framework, call, whose, mode, what, count)
                    yield pytest.param(point, id=name, marks=marks)


@pytest.mark.parametrize("point", list(points()))
def test_a_point(benchmark: Any, options: Options, point: Point) -> None:
    """A warm step on tensors of that size; the first, with its compilation, is timed by itself."""
    framework, call, whose, mode, what, count = point
    if options.quick and count > QUICK[what]:
        pytest.skip(f"--quick measures up to {QUICK[what]:,} {what}")
    home = clock.load(framework, options.threads, f"samestep.bench.frameworks.{framework}")
    _, name, arguments = dialects.parse(call)
    measured = dialects.read(call) if whose == "ours" else dialects.Call(name, arguments)
    size = sizes.grown(what, count)
    benchmark.group = f"{framework} {name} by {what}"
    benchmark.name = f"{whose} {mode} {count}"
    with home.stepper(measured, mode, "cpu", size) as stepper:
        first = clock.warm_up(stepper)
        clock.describe(
            benchmark,
            framework,
            call,
            size,
            implementation=whose,
            mode=mode,
            device="cpu",
            threads=options.threads,
            first_step_seconds=first,
            grows=what,
            count=count,
        )
        before = stepper.weights()
        benchmark(stepper.step)
        clock.check_moved(before, stepper.weights())
