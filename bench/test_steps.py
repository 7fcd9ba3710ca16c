"""What one optimizer step on the experiment's parameters costs: every rule, ours and native, mode by mode."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from samestep.bench import clock, sizes
from samestep.parity.measure import cases
from samestep.reference import dialects

DEVICES = ("cpu", "cuda")
FRAMEWORKS = {"pytorch": "pytorch", "keras": "tensorflow"}  # a dialect's home
MODES = {
    ("pytorch", "ours"): ("eager", "compiled"),
    ("pytorch", "native"): ("for-loop", "foreach", "fused", "compiled"),
    ("tensorflow", "ours"): ("eager", "graph", "xla"),
    ("tensorflow", "native"): ("eager", "graph", "xla"),
}


RELATIVE = ("LAMB", "Adafactor")  # their steps are shares of the weights, which so would outgrow float32
RATE = 1e-6  # with which they do not


def calls() -> Iterator[str]:
    """The plain calls of every rule, at rates with which weights stay finite however many steps are timed."""
    for rule, found in {**cases.PLAIN, **cases.MATRIX}.items():
        for call in found:
            dialect, name, arguments = dialects.parse(call)
            if rule in RELATIVE:
                arguments = {key: RATE if key in ("lr", "learning_rate") else x for key, x in arguments.items()}
            yield f"{dialect}:{dialects.Call(name, arguments)}"


def steps() -> Iterator[Any]:
    """Every rule in both dialects, ours and native, in each mode and on each device."""
    for call in calls():
        dialect, rule, _ = dialects.parse(call)
        for (framework, whose), modes in MODES.items():
            for mode in modes if framework == FRAMEWORKS[dialect] else ():
                marks = [pytest.mark.compiled] if mode == "compiled" else []
                for device in DEVICES:
                    name = f"{framework}-{rule}-{whose}-{mode}-{device}"
                    yield pytest.param(framework, call, whose, mode, device, id=name, marks=marks)


@pytest.mark.parametrize(("framework", "call", "whose", "mode", "device"), list(steps()))
def test_a_step(
    benchmark: Any, threads: int, quick: bool, rules: list[str],
    framework: str, call: str, whose: str, mode: str, device: str,
) -> None:  # fmt: skip
    """A warm, synchronised step; the first one, with its compilation, is timed apart."""
    if (kind := type(dialects.read(call)).__name__) not in rules:
        pytest.skip("--rules leaves it out")
    home = clock.load(framework, threads, f"bench.{framework}")
    _, name, arguments = dialects.parse(call)
    skip_impossible(home, name, whose, mode, device, quick)
    what = dialects.read(call) if whose == "ours" else dialects.Call(name, arguments)
    benchmark.group, benchmark.name = f"{framework} {name} {device}", f"{whose} {mode}"
    size = next(iter(sizes.of(kind)))
    with home.stepper(what, mode, device, size) as stepper:
        first = clock.warm_up(stepper)
        clock.describe(
            benchmark, framework, call, size, implementation=whose, mode=mode, device=device,
            gpu=home.gpu() if device == "cuda" else None, threads=threads, first_step_seconds=first,
        )  # fmt: skip
        before = stepper.weights()
        benchmark(stepper.step)
        clock.check_moved(before, stepper.weights())


def skip_impossible(home: ModuleType, name: str, whose: str, mode: str, device: str, quick: bool) -> None:
    """Skip, with the reason, what cannot run here or was not asked for."""
    if device == "cuda" and not home.gpu():
        pytest.skip(f"{home.__name__.removeprefix('bench.')} finds no CUDA device")
    if mode == "foreach" and name in home.native.UNVARIED:
        pytest.skip(f"torch.optim.{name} has one implementation, a for-loop")
    if mode == "fused" and name not in home.native.FUSED:
        pytest.skip(f"torch.optim.{name} has no fused implementation")
    if quick and (whose, mode) == ("native", "compiled"):
        pytest.skip("--quick leaves out the compiled natives")
