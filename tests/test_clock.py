"""The clock convicts: a planted slowdown is found, equal steps are not told apart, missing waits
are caught.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from samestep import SEARCH_PATH
from samestep.bench import clock, memory, pairs, sizes, tables
from samestep.bench import test_steps as steps
from samestep.parity.measure import cases
from samestep.parity.tests.support.require import require
from samestep.reference import dialects

STEP = 0.01  # seconds of a simulated step


class Machine:
    """A machine with a clock of its own, whose speed drifts, jitters, and stalls now and then."""

    def __init__(self, stall_every: int = 0) -> None:
        self.now, self.samples, self.stall_every = 0.0, 0, stall_every
        self.generator = np.random.default_rng(7)

    def step(self, share: float = 1.0) -> Callable[[], None]:
        """A step that takes ``share`` of STEP."""

        def take() -> None:
            self.samples += 1
            drift = 1 + 0.3 * np.sin(self.now)
            stall = 20.0 if self.stall_every and self.samples % self.stall_every == 0 else 1.0
            self.now += STEP * share * drift * stall * self.generator.uniform(0.95, 1.05)

        return take

    def compare(self, share: float, seconds: float = 1.0) -> pairs.Ratio:
        """A step of that share against a whole one."""
        return pairs.compare(self.step(share), self.step(), seconds, clock=lambda: self.now)


def test_a_planted_slowdown_is_found() -> None:
    """20 % slower, and 20 % faster, in one run on a drifting machine; the interval holds the
    truth.
    """
    floor = Machine().compare(1.0).noise
    for share, verdict in ((1.2, "slower"), (0.8, "faster")):
        ratio = Machine().compare(share)
        assert ratio.verdict(floor) == verdict, ratio
        assert ratio.low < share < ratio.high, ratio


def test_equal_steps_cannot_be_told_apart() -> None:
    """And a difference below the noise floor is none."""
    ratio = Machine().compare(1.0)
    assert ratio.verdict(floor=ratio.noise) == "cannot tell", ratio
    assert Machine().compare(1.2).verdict(floor=0.3) == "cannot tell"


def test_stalls_are_measured_again() -> None:
    """Rounds that met one are told, and do not count; where the machine never rests, all count and
    that is told.
    """
    ratio = Machine(stall_every=11).compare(1.2)
    assert ratio.again > 0
    assert ratio.stalled == 0
    assert ratio.rounds >= pairs.ROUNDS
    assert ratio.verdict() == "slower", ratio
    restless = Machine(stall_every=2).compare(1.0)
    assert restless.stalled > 0
    assert restless.rounds >= 2 * pairs.ROUNDS


def test_short_steps_are_taken_many_times_a_sample() -> None:
    """So that the clock's own resolution does not show."""
    machine = Machine()
    machine.compare(1e-4, seconds=0.0)
    assert machine.now > 4 * pairs.ROUNDS * pairs.SAMPLE * 0.9


def test_step_that_takes_long_to_warm_up_is_told_by_what_it_takes_then() -> None:
    """It is taken in samples as long as those that are compared, not a few times alone."""
    machine = Machine()

    def step() -> None:
        machine.samples += 1
        machine.now += pairs.SAMPLE / (5 if machine.samples <= 20 else 20)

    assert pairs.best(step, samples=7, clock=lambda: machine.now) == pytest.approx(
        pairs.SAMPLE / 20
    )


@pytest.fixture
def device() -> Iterator["queue.Queue[Callable[[], None] | None]"]:
    """A device beside the processor: takes work from a queue, and does it one after another."""
    work: queue.Queue[Callable[[], None] | None] = queue.Queue()

    def serve() -> None:
        while (task := work.get()) is not None:
            task()
            work.task_done()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    yield work
    work.put(None)
    server.join()


def test_a_missing_synchronisation_is_caught(
    device: "queue.Queue[Callable[[], None] | None]",
) -> None:
    """A step that only hands its work over is refused; the same step that waits is not."""

    def hand_over() -> None:
        device.put(lambda: time.sleep(STEP))

    def wait_too() -> None:
        hand_over()
        device.join()

    pairs.check_waits(wait_too, device.join)
    with pytest.raises(
        pairs.Unsynchronised, match=r"must return when it is done, but reading its results took"
    ):
        pairs.check_waits(hand_over, device.join)


def test_a_step_that_moves_nothing_is_caught() -> None:
    """By the tensors' values; one that leads beyond all numbers, too, for then nothing moves any
    more.
    """
    weights = [np.zeros(2), np.ones(2)]
    with pytest.raises(AssertionError, match="must move tensor 1"):
        clock.check_moved(weights, [weights[0] + 1, weights[1]])
    with pytest.raises(AssertionError, match="tensor 0 did not"):
        clock.check_moved(weights, [weights[0] + np.nan, weights[1] + 1])


def test_the_table_says_what_was_measured() -> None:
    """A table a size, a row a call and mode; every number of the row is in it."""
    ratios = pytest.importorskip(
        "samestep.report.terminal.ratios", reason="the table is the extra 'report'"
    )
    assert tuple(sizes.SHAPES) == ratios.SIZES
    ratio = pairs.Ratio(
        value=0.5, low=0.45, high=0.55, a=1e-4, b=2e-4, rounds=20, again=1, stalled=0
    )
    fact = {
        "call": "pytorch:Adam(lr=0.001)", "mode": "compiled", "native": "fused",
        "ratio": ratio._asdict(),
        "verdict": "faster", "noise_floor": 0.02, "bytes_a_parameter": 28.0, "share_of_axpy": 0.875,
        "taken_bytes": 2**25, "first_step_seconds": 3.25, "size": "mnist", "device": "cpu",
        "parameters": 101770,
        "threads": 1, "load": 0.5, "machine": {"cores": 2}, "versions": {"torch": "2.13.0"},
        "usual": {"native": "for-loop",
         "ratio": ratio._replace(value=0.1, low=0.09, high=0.11)._asdict()},
    }  # fmt: skip
    rows = [{"extra_info": fact}, {"extra_info": {**fact, "size": "large", "parameters": 2**24}}]
    body = {"benchmarks": rows, "machine_info": {"machine": "x86_64"}}
    measured = ratios.read(json.dumps(body).encode())
    assert (
        str(ratios.heading(measured)) == "x86_64, 2 cores, load 0.5 to 0.5; threads: 1; "
        "torch 2.13.0"
    )
    first, second = ratios.tables(measured)
    assert str(second.columns[0].header) == "large: 16,777,216 parameters, cpu"
    assert [str(next(iter(column.cells))) for column in first.columns] == [
        "pytorch:Adam(lr=0.001)", "compiled", "100", "fused", "200", "0.50", "0.45 to 0.55",
        "faster", "0.02",
        "0.09 to 0.11", "28", "88%", "32.0 MB", "3.2",
    ]  # fmt: skip


def test_the_table_of_training_says_what_was_measured() -> None:
    """A row an epoch and whom it was timed in turn with, how many times as fast it was; who had
    none stands alone.
    """
    ratios = pytest.importorskip(
        "samestep.report.terminal.ratios", reason="the table is the extra 'report'"
    )
    ratio = pairs.Ratio(value=0.5, low=0.4, high=0.8, a=0.25, b=0.5, rounds=3, again=1, stalled=0)
    fact = {
        "framework": "pytorch",
        "mode": "compiled",
        "arithmetic": "float32",
        "products_seconds": 0.125,
    }
    quickest = {"native": "DataLoader fused", "ratio": ratio._asdict(), "verdict": "faster"}
    usual = {
        "native": "DataLoader",
        "ratio": ratio._replace(value=0.25, b=1.0)._asdict(),
        "verdict": "faster",
    }
    rows = [
        {**fact, **quickest, "usual": usual},
        {**fact, **usual, "usual": usual},
        {**fact, "framework": "numpy"},
    ]
    benchmarks = [{"extra_info": row, "stats": {"min": 0.75}} for row in rows]
    body = {"benchmarks": benchmarks, "machine_info": {}}
    measured = ratios.read(json.dumps(body).encode())
    own = ("pytorch compiled float32", "0.25", "0.12")
    slower = (*own, "DataLoader", "1.00", "4.00", "1.25 to 2.50", "faster")
    columns = [[str(cell) for cell in column.cells] for column in ratios.training(measured).columns]
    assert list(zip(*columns, strict=True)) == [
        slower, (*own, "DataLoader fused", "0.50", "2.00", "1.25 to 2.50", "faster"), slower,
        ("numpy compiled float32", "0.75", "0.12", *[""] * 5),
    ]  # fmt: skip


@pytest.mark.skipif(
    memory.taken(lambda: None) is None, reason="the system does not tell a process its peak memory"
)
def test_memory_that_a_step_takes_is_seen() -> None:
    """To the 64 pages a thread, whoever started it, that Linux counts late in each of two readings;
    what takes nothing is seen to take nothing."""
    size, late = 2**26, 2 * 64 * os.sysconf("SC_PAGE_SIZE") * len(os.listdir("/proc/self/task"))
    assert abs((memory.taken(lambda: np.ones(size, np.uint8)) or 0) - size) <= late
    assert (memory.taken(lambda: None) or 0) <= late


def collected(*arguments: str) -> dict[str, int]:
    """How many benchmarks pytest would run, by file."""
    command = [sys.executable, "-m", "pytest", "bench", "--benchmark-only", "--collect-only", "-qq"]
    alone = {name: x for name, x in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    listed = subprocess.run(
        [*command, *arguments],
        cwd=SEARCH_PATH, check=True, text=True, capture_output=True, env=alone,
    )  # fmt: skip
    rows = [
        line.rpartition(": ") for line in listed.stdout.splitlines() if line.startswith("bench")
    ]
    return {file.rpartition("/")[2]: int(count) for file, _, count in rows}


def test_only_the_everyday_is_timed_unless_more_is_asked_for() -> None:
    """Steps of the everyday rules and an epoch a framework; --full times everything."""
    usual, full = collected(), collected("--full")
    everyday = len(cases.EVERYDAY) * len(steps.DEVICES) * sum(map(len, steps.MODES.values()))
    assert usual == {"test_epochs.py": 3, "test_steps.py": everyday}
    assert full.keys() > usual.keys()
    assert full["test_steps.py"] == len(list(steps.steps()))
    assert collected("--rules", "all")["test_steps.py"] == full["test_steps.py"]
    assert collected("--rules", "Adam")["test_steps.py"] * len(cases.EVERYDAY) == everyday


def test_tables_name_rule_mode_whose_and_ratio() -> None:
    """The ratio is to the framework's default, within one rule, framework and device."""
    place = {"rule": "Adam(lr=0.5)", "framework": "pytorch", "device": "cpu"}
    ours = {**place, "implementation": "ours", "mode": "compiled"}
    native = {**place, "implementation": "native", "mode": "for-loop"}
    epoch = {**ours, "arithmetic": "float32", "native": "DataLoader", "ratio": {"value": 0.5}}
    measured = [
        tables.Measured(facts, seconds)
        for facts, seconds in ((ours, 0.25e-3), (native, 1e-3), (epoch, 2.0))
    ]
    (_, _, step_lines), (_, _, epoch_lines) = tables.all_of(measured)
    assert [line.split() for line in step_lines][1:] == [
        ["Adam", "pytorch", "cpu", "ours", "compiled", "250", "us", "0.25"],
        ["Adam", "pytorch", "cpu", "native", "for-loop", "1,000", "us", "1.00"],
    ]
    assert [*epoch_lines][1].split()[-4:] == ["s", "0.50", "of", "DataLoader"]


def test_every_rule_has_sizes_and_those_of_matrix_products_have_matrices() -> None:
    """Muon's are the matrices of the others, of which torch's own Muon takes nothing else."""
    assert list(sizes.of("Adam")) == list(sizes.SHAPES)
    assert sizes.of("Muon") == {"mnist matrices": "mnist", "many matrices": "many"}
    assert sizes.shapes("mnist matrices") == [(784, 128), (128, 10)]
    assert sizes.shapes("many matrices") == [(10, 256), (64, 256)] * 30


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("call", [call for call in steps.calls() if call.startswith("pytorch:")])
def test_the_usual_native_is_what_torch_takes(
    call: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the functions that it calls; for CUDA it is made to believe that the CPU is a device
    for foreach.
    """
    torch, home = require("torch"), require("samestep.bench.frameworks.pytorch")
    if device == "cuda":
        module = require("torch.optim.optimizer")
        monkeypatch.setattr(module, "_get_foreach_kernels_supported_devices", lambda: ["cpu"])
    _, name, arguments = dialects.parse(call)
    param = torch.nn.Parameter(torch.ones(2, 2))
    param.grad = torch.ones(2, 2)
    optimizer = getattr(torch.optim, name)([param], **arguments)
    with torch.profiler.profile() as profile:
        optimizer.step()
    foreach = any("_foreach_" in event.key for event in profile.key_averages())
    assert home.usual(name, device) == ("foreach" if foreach else "for-loop")
