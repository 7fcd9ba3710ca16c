"""Our steps against the quickest native and the default one, in turn: ratio, interval, verdict."""

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from samestep.bench import clock, memory, pairs, sizes
from samestep.bench.options import Options
from samestep.bench.subjects import AXPY_BYTES, bytes_moved, calls
from samestep.bench.test_steps import DEVICES, FRAMEWORKS, MODES, Step, skip_impossible
from samestep.reference import dialects

OURS = {"pytorch": ("compiled", "eager"), "tensorflow": ("xla", "graph")}
SAMPLES = 15  # of each native, to find the quickest


class Native(NamedTuple):
    """The native's stepper in every mode that it has here, and the best seconds of a step."""

    steppers: dict[str, clock.Stepper]
    seconds: dict[str, float]

    @property
    def quickest(self) -> str:
        """The mode in which its step is quickest here and now."""
        return min(self.seconds, key=self.seconds.__getitem__)


class Comparison(NamedTuple):
    """One step of ours that is compared with natives."""

    framework: str
    call: str
    mode: str
    size: str
    device: str


def comparisons() -> Iterator[Any]:
    """Every call of a framework's own dialect, in our modes, at each size, on each device."""
    for call in calls():
        dialect, rule, _ = dialects.parse(call)
        framework = FRAMEWORKS[dialect]
        for mode in OURS[framework]:
            kind = type(dialects.read(call)).__name__
            for size, group in sizes.of(kind).items():
                for device in DEVICES:
                    marks = [pytest.mark.subject(rule=kind, size=group)]
                    marks += [pytest.mark.compiled] if mode == "compiled" else []
                    name = f"{framework}-{rule}-{mode}-{size}-{device}"
                    comparison = Comparison(framework, call, mode, size, device)
                    yield pytest.param(comparison, id=name, marks=marks)


@pytest.mark.parametrize("comparison", list(comparisons()))
def test_a_ratio(benchmark: Any, options: Options, comparison: Comparison) -> None:
    """Ours in turn with the quickest native, the default one and an in-place axpy.

    The native is also timed with itself.
    """
    framework, call, mode, size, device = comparison
    seconds = options.seconds
    _, name, _ = dialects.parse(call)
    rule = dialects.read(call)
    home = clock.load(framework, options.threads, f"samestep.bench.frameworks.{framework}")
    if device == "cuda" and not home.gpu():
        pytest.skip(f"{framework} finds no CUDA device")
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(home.stepper(rule, mode, device, size))
        first = clock.warm_up(ours)
        pairs.check_waits(ours.step, ours.weights)
        native = natives(home, comparison, options.quick, stack)
        quickest = native.steppers[native.quickest]
        usual = home.usual(name, device)
        ratio = pairs.compare(ours.step, quickest.step, seconds)
        floor = pairs.compare(quickest.step, quickest.step, seconds).noise
        to_usual = pairs.compare(ours.step, native.steppers[usual].step, seconds)
        axpy = pairs.compare(ours.step, home.axpy(sizes.parameters(size), device), seconds)
        moved = bytes_moved(rule, size)
        measurable = (framework, device, size) == ("pytorch", "cpu", "large")
        taken = memory.taken(ours.step) if measurable else None
        clock.describe(
            benchmark,
            framework,
            call,
            size,
            implementation="ours",
            mode=mode,
            device=device,
            threads=options.threads,
            gpu=home.gpu() if device == "cuda" else None,
            first_step_seconds=first,
            native=native.quickest,
            native_seconds=native.seconds,
            ratio=ratio._asdict(),
            noise_floor=floor,
            verdict=ratio.verdict(floor),
            usual={"native": usual, "ratio": to_usual._asdict()},
            bytes_a_parameter=moved,
            taken_bytes=taken,
            share_of_axpy=moved / AXPY_BYTES / axpy.value,
        )
        benchmark.group = f"{framework} {call} {size} {device}"
        benchmark.name = f"ours {mode}"
        before = ours.weights()
        benchmark(ours.step)
        clock.check_moved(before, ours.weights())


def natives(
    home: ModuleType, comparison: Comparison, quick: bool, stack: contextlib.ExitStack
) -> Native:
    """The native optimizer in every mode that runs here."""
    framework, call, _, size, device = comparison
    _, name, arguments = dialects.parse(call)
    steppers = Native({}, {})
    for mode in MODES[framework, "native"]:
        try:
            skip_impossible(home, Step(framework, call, "native", mode, device), quick)
        except pytest.skip.Exception:
            continue
        steppers.steppers[mode] = each = stack.enter_context(
            home.stepper(dialects.Call(name, arguments), mode, device, size)
        )
        clock.warm_up(each)
        pairs.check_waits(each.step, each.weights)
        steppers.seconds[mode] = pairs.best(each.step, SAMPLES)
    assert steppers.seconds, f"{call} must have a native that runs on {device}"
    return steppers
