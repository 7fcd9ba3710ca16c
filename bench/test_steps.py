"""The cost of one optimizer step on the experiment's parameters: every rule, ours and native."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from samestep.bench import clock, sizes
from samestep.bench.options import Options
from samestep.bench.subjects import calls
from samestep.reference import dialects

DEVICES = ("cpu", "cuda")
FRAMEWORKS = {"pytorch": "pytorch", "keras": "tensorflow"}  # a dialect's home
MODES = {
    ("pytorch", "ours"): ("eager", "compiled"),
    ("pytorch", "native"): ("for-loop", "foreach", "fused", "compiled"),
    ("tensorflow", "ours"): ("eager", "graph", "xla"),
    ("tensorflow", "native"): ("eager", "graph", "xla"),
}


class Step(NamedTuple):
    """One step to be timed."""

    framework: str
    call: str
    whose: str  # "ours" or "native"
    mode: str
    device: str


def steps() -> Iterator[Any]:
    """Every rule in both dialects, ours and native, in each mode and on each device."""
    for call in calls():
        dialect, rule, _ = dialects.parse(call)
        for (framework, whose), modes in MODES.items():
            for mode in modes if framework == FRAMEWORKS[dialect] else ():
                marks = [pytest.mark.subject(rule=type(dialects.read(call)).__name__)]
                marks += [pytest.mark.compiled] if mode == "compiled" else []
                for device in DEVICES:
                    name = f"{framework}-{rule}-{whose}-{mode}-{device}"
                    step = Step(framework, call, whose, mode, device)
                    yield pytest.param(step, id=name, marks=marks)


@pytest.mark.parametrize("step", list(steps()))
def test_a_step(benchmark: Any, options: Options, step: Step) -> None:
    """A warm, synchronised step; the first, with its compilation, is timed by itself."""
    rule = dialects.read(step.call)
    home = clock.load(
        step.framework, options.threads, f"samestep.bench.frameworks.{step.framework}"
    )
    skip_impossible(home, step, options.quick)
    _, name, arguments = dialects.parse(step.call)
    optimizer = rule if step.whose == "ours" else dialects.Call(name, arguments)
    benchmark.group = f"{step.framework} {name} {step.device}"
    benchmark.name = f"{step.whose} {step.mode}"
    size = next(iter(sizes.of(type(rule).__name__)))
    with home.stepper(optimizer, step.mode, step.device, size) as stepper:
        first = clock.warm_up(stepper)
        clock.describe(
            benchmark,
            step.framework,
            step.call,
            size,
            implementation=step.whose,
            mode=step.mode,
            device=step.device,
            gpu=home.gpu() if step.device == "cuda" else None,
            threads=options.threads,
            first_step_seconds=first,
        )
        before = stepper.weights()
        benchmark(stepper.step)
        clock.check_moved(before, stepper.weights())


def skip_impossible(home: ModuleType, step: Step, quick: bool) -> None:
    """Skip, with the reason, an implementation that cannot run here or was left out."""
    _, name, _ = dialects.parse(step.call)
    whose, mode = step.whose, step.mode
    if step.device == "cuda" and not home.gpu():
        pytest.skip(f"{step.framework} finds no CUDA device")
    if mode == "foreach" and name in home.native.UNVARIED:
        pytest.skip(f"torch.optim.{name} has one implementation, a for-loop")
    if mode == "fused" and name not in home.native.FUSED:
        pytest.skip(f"torch.optim.{name} has no fused implementation")
    if quick and (whose, mode) == ("native", "compiled"):
        pytest.skip("--quick leaves out the compiled natives")
