"""Our steps against the quickest native one, timed in turn: ratio, interval, verdict, noise floor, bandwidth."""

import contextlib
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from reference import Rule, dialects

from . import clock, memory, pairs, sizes
from .test_steps import DEVICES, FRAMEWORKS, MODES, calls, skip_impossible

OURS = {"pytorch": ("compiled", "eager"), "tensorflow": ("xla", "graph")}
AXPY_BYTES = 12  # a float32 parameter's part of y <- y + x / 2: two read, one written
TRIALS = 7  # of each native, to find the quickest


class Quickest(NamedTuple):
    """The native's quickest mode, its stepper, and how long every mode's step took: seconds, at best."""

    mode: str
    stepper: clock.Stepper
    seconds: dict[str, float]


def comparisons() -> Iterator[Any]:
    """Every call of a framework's own dialect, in our modes, at each size, on each device."""
    for call in calls():
        dialect, rule, _ = dialects.parse(call)
        framework = FRAMEWORKS[dialect]
        for mode in OURS[framework]:
            for size in sizes.SHAPES:
                for device in DEVICES:
                    marks = [pytest.mark.compiled] if mode == "compiled" else []
                    name = f"{framework}-{rule}-{mode}-{size}-{device}"
                    yield pytest.param(framework, call, mode, size, device, id=name, marks=marks)


@pytest.mark.parametrize(("framework", "call", "mode", "size", "device"), list(comparisons()))
def test_a_ratio(
    benchmark: Any, threads: int, quick: bool, rules: list[str], chosen_sizes: list[str], seconds: float,
    framework: str, call: str, mode: str, size: str, device: str,
) -> None:  # fmt: skip
    """Ours and the quickest native in turn, then the native against itself, then ours against an in-place axpy."""
    rule = dialects.read(call)
    if type(rule).__name__ not in rules or size not in chosen_sizes:
        pytest.skip("--rules or --sizes leaves it out")
    home = clock.load(framework, threads, f"bench.{framework}")
    if device == "cuda" and not home.gpu():
        pytest.skip(f"{framework} finds no CUDA device")
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(home.stepper(rule, mode, device, size))
        first = clock.warm_up(ours)
        pairs.check_waits(ours.step, ours.weights)
        native = quickest(home, call, device, size, quick, stack)
        ratio = pairs.compare(ours.step, native.stepper.step, seconds)
        floor = pairs.compare(native.stepper.step, native.stepper.step, seconds).noise
        axpy = pairs.compare(ours.step, home.axpy(sizes.parameters(size), device), seconds)
        moved = bytes_moved(rule, size)
        taken = memory.taken(ours.step) if (framework, device, size) == ("pytorch", "cpu", "large") else None
        clock.describe(
            benchmark, framework, call, size, implementation="ours", mode=mode, device=device, threads=threads,
            gpu=home.gpu() if device == "cuda" else None, first_step_seconds=first,
            native=native.mode, native_seconds=native.seconds, ratio=ratio._asdict(), noise_floor=floor,
            verdict=ratio.verdict(floor), bytes_a_parameter=moved, taken_bytes=taken,
            share_of_axpy=moved / AXPY_BYTES / axpy.value,
        )  # fmt: skip
        benchmark.group, benchmark.name = f"{framework} {call} {size} {device}", f"ours {mode}"
        before = ours.weights()
        benchmark(ours.step)
        clock.check_moved(before, ours.weights())


def quickest(home: ModuleType, call: str, device: str, size: str, quick: bool, stack: contextlib.ExitStack) -> Quickest:
    """The native optimizer in the mode in which its step is quickest here and now."""
    _, name, arguments = dialects.parse(call)
    framework = home.__name__.removeprefix("bench.")
    best, seconds = None, {}
    for mode in MODES[framework, "native"]:
        try:
            skip_impossible(home, name, "native", mode, device, quick)
        except pytest.skip.Exception:
            continue
        each = stack.enter_context(home.stepper(dialects.Call(name, arguments), mode, device, size))
        clock.warm_up(each)
        pairs.check_waits(each.step, each.weights)
        seconds[mode] = min(_seconds(each) for _ in range(TRIALS))
        if seconds[mode] == min(seconds.values()):
            best = mode, each
    assert best, f"{call} must have a native that runs on {device}"
    return Quickest(*best, seconds)


def _seconds(stepper: clock.Stepper) -> float:
    start = time.perf_counter()
    stepper.step()
    return time.perf_counter() - start


def bytes_moved(rule: Rule, size: str) -> float:
    """Bytes a parameter that a step must move: the parameter and its state read and written, the gradient read."""
    weights = sizes.weights(size)
    state = sum(array.nbytes for weight in weights for array in rule.start(weight, np).values())
    return 3 * 4 + 2 * state / sizes.parameters(size)
