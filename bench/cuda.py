"""Every rule's steps on a CUDA device, ours and torch's own: agreement with the CPU, and time.

``python -m samestep.bench.cuda`` in a checkout takes less than ten minutes; it needs PyTorch and
NumPy alone. For each rule and mode: whether the trajectory on the device is that of the same
optimizer on the CPU, within the limit that follows from the rule's rounding; the ratio of our step
to the quickest native and to torch's default; and the share of the bandwidth of an axpy in place.
It prints a table and writes a JSON file with machine and date. Exit code 0 if all agrees, 1 if
anything differs or fails, 2 if there is no device: then nothing is run.
"""

import argparse
import contextlib
import datetime
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from samestep.bench import clock, pairs, sizes
from samestep.bench.frameworks import pytorch as home
from samestep.bench.options import RULES
from samestep.bench.subjects import AXPY_BYTES, bytes_moved, calls
from samestep.frameworks.experiment import record
from samestep.frameworks.natives import FUSED, UNVARIED
from samestep.frameworks.pytorch import Optimizer, native
from samestep.parity.measure.nearest_wrong import expectation
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.verdict import Agreement, judge
from samestep.reference import Rule, dialects

OURS = ("eager", "compiled")
NATIVES = ("for-loop", "foreach", "fused")
NO_DEVICE = 2  # the exit code
SAMPLES = 5  # of each native, to find the quickest
COLUMNS = "{:12} {:16} {:16} {:>9} {:>9} {:>9} {:>6}"

Make = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]


class Options(NamedTuple):
    """What is run: the device, the size of timed steps, rules, and seconds of a comparison.

    After ``limit`` seconds no further rule is begun.
    """

    device: str
    size: str
    rules: tuple[str, ...]
    modes: tuple[str, ...]
    seconds: float
    limit: float
    out: Path


class RuleAndNative(NamedTuple):
    """A rule, and the call of the native that follows it."""

    rule: Rule
    call: dialects.Call

    @property
    def name(self) -> str:
        """The rule's name."""
        return type(self.rule).__name__

    @property
    def natives(self) -> list[str]:
        """The implementations of the native."""
        if self.call.name in UNVARIED:
            return ["for-loop"]
        return [mode for mode in NATIVES if mode != "fused" or self.call.name in FUSED]

    def maker(self, whose: str, mode: str) -> Make:
        """The function that builds the optimizer from its parameters."""
        if whose == "native":
            return lambda parameters: native.optimizer(parameters, self.call, mode)
        return lambda parameters: Optimizer(parameters, self.rule, compiled=mode == "compiled")


def subjects(options: Options) -> Iterator[RuleAndNative]:
    """PyTorch's calls of the chosen rules."""
    for call in calls():
        dialect, name, arguments = dialects.parse(call)
        rule = dialects.read(call)
        if dialect == "pytorch" and type(rule).__name__ in options.rules:
            yield RuleAndNative(rule, dialects.Call(name, arguments))


def trajectory(make: Make, rule: Rule, trial: Trial, device: str) -> Trajectory:
    """Where the optimizer goes on the device, in float32."""
    (start,) = trial.start.values()
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32, device=device))
    optimizer = make([parameter])
    recorder = TrajectoryRecorder(trial, [parameter.detach().cpu().numpy()])
    for step in range(trial.steps):
        (gradient,) = trial.gradients_at(step, "float32")
        parameter.grad = torch.tensor(gradient, device=device)
        optimizer.param_groups[0]["lr"] = trial.rate_at(rule.lr, step)
        optimizer.step()
        recorder.add([parameter.detach().cpu().numpy()], [{}])
    return recorder.trajectory()


def agreement(subject: RuleAndNative, whose: str, mode: str, device: str) -> dict[str, Any]:
    """How the optimizer on the device compares with itself on the CPU, where it steps plainly."""
    expected = expectation(subject.rule, "float32")
    plain = subject.maker(whose, "for-loop" if whose == "native" else "eager")
    on_cpu = trajectory(plain, subject.rule, expected.trial, "cpu")
    make = subject.maker(whose, mode)
    on_device = trajectory(make, subject.rule, expected.trial, device)
    verdict = judge(expected.trial, on_cpu, on_device, expected.limits)
    return {
        "agreement": str(verdict.agreement.value),
        "holds": verdict.agreement is not Agreement.DIFFERENT,
        "distance": verdict.distance,
        "limit": verdict.limit,
    }


def times(subject: RuleAndNative, options: Options) -> dict[str, Any]:
    """Seconds of every implementation, and the ratios of our steps to natives' and to an axpy."""
    size = options.size
    if size not in sizes.of(subject.name):
        size = next(iter(sizes.of(subject.name)))  # products of matrices take long
    with contextlib.ExitStack() as stack:
        natives = {}
        for mode in subject.natives:
            stepper = home.stepper(subject.call, mode, options.device, size)
            natives[mode] = _warm(stack.enter_context(stepper))
        seconds = {mode: pairs.best(each.step, SAMPLES) for mode, each in natives.items()}
        quickest = min(seconds, key=seconds.__getitem__)
        usual = home.usual(subject.call.name, options.device)
        axpy = home.axpy(sizes.parameters(size), options.device)
        share = bytes_moved(subject.rule, size) / AXPY_BYTES
        rows = {}
        for mode in options.modes:
            ours = _warm(
                stack.enter_context(home.stepper(subject.rule, mode, options.device, size))
            )
            to_axpy = pairs.compare(ours.step, axpy, options.seconds)
            rows[mode] = {
                "seconds": to_axpy.a,
                "to quickest": pairs.compare(
                    ours.step, natives[quickest].step, options.seconds
                )._asdict(),
                "to usual": pairs.compare(
                    ours.step, natives[usual].step, options.seconds
                )._asdict(),
                "share of axpy": share / to_axpy.value,
            }
    return {
        "size": size,
        "parameters": sizes.parameters(size),
        "natives": seconds,
        "quickest": quickest,
        "usual": usual,
        "ours": rows,
    }


def _warm(stepper: clock.Stepper) -> clock.Stepper:
    clock.warm_up(stepper)
    pairs.check_waits(stepper.step, stepper.weights)
    return stepper


def measured(subject: RuleAndNative, options: Options) -> dict[str, Any]:
    """All that is asked of a rule; what fails is a message, since this code is seldom run."""
    row: dict[str, Any] = {"rule": repr(subject.rule), "call": str(subject.call), "agreement": {}}
    runs = [("ours", mode) for mode in options.modes]
    runs += [("native", mode) for mode in subject.natives]
    for whose, mode in runs:
        row["agreement"][f"{whose} {mode}"] = _attempt(
            functools.partial(agreement, subject, whose, mode, options.device)
        )
    row["times"] = _attempt(lambda: times(subject, options))
    return row


def _attempt(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return run()
    except Exception as error:  # a compiler or a driver may raise anything
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}


def lines(subject: RuleAndNative, row: dict[str, Any]) -> Iterator[str]:
    """The table's lines of a rule."""
    ours = row["times"].get("ours", {})
    for who, result in row["agreement"].items():
        whose, _, mode = who.partition(" ")
        timed = ours.get(mode) if whose == "ours" else None
        figures = ["", "", ""]
        if timed:
            ratios = (timed["to quickest"]["value"], timed["to usual"]["value"])
            figures = [*(f"{ratio:.2f}" for ratio in ratios), f"{timed['share of axpy']:.0%}"]
        distance = f"{result['distance']:.1e}" if "distance" in result else ""
        word = result.get("agreement", "FAILED")
        yield COLUMNS.format(subject.name, who, word, distance, *figures).rstrip()
        if "failed" in result:
            yield f"    {result['failed']}"
    if "failed" in row["times"]:
        yield f"    not timed: {row['times']['failed']}"


def is_right(row: dict[str, Any]) -> bool:
    """True if every trajectory agrees and everything was timed."""
    agreements = row["agreement"].values()
    return all(each.get("holds") for each in agreements) and "failed" not in row["times"]


def run(options: Options) -> int:
    """Measure all rules, print the table and write the file; the exit code."""
    begin = time.perf_counter()
    rows = []
    left_out = []
    print(COLUMNS.format("rule", "whose, mode", "with the CPU", "distance",
                         "quickest", "usual", "axpy"), flush=True)  # fmt: skip
    for subject in subjects(options):
        if time.perf_counter() - begin > options.limit:
            left_out.append(subject.name)
            continue
        row = measured(subject, options)
        rows.append(row)
        print(*lines(subject, row), sep="\n", flush=True)
    if left_out:
        print(f"not run, for the time was up: {', '.join(left_out)}")
    body = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": options.device,
        "gpu": home.gpu() if options.device == "cuda" else None,
        "machine": record.machine(),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "seconds": time.perf_counter() - begin,
        "rows": rows,
        "not run": left_out,
    }
    text = json.dumps(body, indent=1)
    record.write_whole(options.out, lambda file: file.write(text.encode()))
    print(f"written to {options.out}")
    return 0 if rows and all(map(is_right, rows)) else 1


def read(arguments: Sequence[str]) -> Options:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m samestep.bench.cuda", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--size", choices=tuple(sizes.SHAPES), default="large")
    parser.add_argument("--rules", default=",".join(RULES), help="with commas between them")
    parser.add_argument("--modes", default=",".join(OURS), help="of ours: eager, compiled")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a comparison")
    parser.add_argument("--limit", type=float, default=480, help="seconds after which none begins")
    parser.add_argument("--out", type=Path, default=Path("out/cuda.json"))
    given = parser.parse_args(arguments)
    chosen = {"rules": (given.rules, RULES), "modes": (given.modes, OURS)}
    names = {}
    for option, (text, known) in chosen.items():
        names[option] = tuple(text.split(","))
        if not set(names[option]) <= set(known):
            parser.error(f"--{option} must be some of {', '.join(known)}, got {text}")
    return Options(**{**vars(given), **names})


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    options = read(arguments)
    if options.device == "cuda" and not home.gpu():
        print("no CUDA device: not run", file=sys.stderr)
        return NO_DEVICE
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    return run(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
