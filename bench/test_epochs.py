"""The cost of an epoch of the experiment, 1,875 batches of 32.

It is measured for our loops, for the frameworks' own, and for the matrix products alone, which are
in every epoch.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from samestep.bench import clock, pairs
from samestep.bench.options import Options
from samestep.frameworks.experiment import facts, mnist
from samestep.reference import dialects

CALLS = {
    "numpy": "keras:Adam(learning_rate=0.001)",
    "pytorch": "pytorch:Adam(lr=0.001)",
    "tensorflow": "keras:Adam(learning_rate=0.001)",
}
EAGER = {
    "numpy": "eager",
    "pytorch": "eager",
    "tensorflow": "graph",
}  # the loop that needs no long compilation
OPTIONS = {"compiled": "compiled", "public": "compiled", "xla": "xla"}  # of a Trainer, by mode
ROUNDS = {False: 1, True: 3}  # of a comparison, each of four epochs, without and with --full

Weights = list[np.ndarray]


class Loop(NamedTuple):
    """Our training loop. Its epoch draws and prepares its batches, and gives the weights."""

    framework: str
    mode: str
    arithmetic: str
    device: str
    epoch: Callable[[], Weights]
    first_step_seconds: float


def ours(framework: str, mode: str, arithmetic: str, threads: int) -> Loop:
    """Our loop, whose first step is taken."""
    train = clock.load(framework, threads, f"samestep.frameworks.{framework}.train")
    data = mnist.load()
    numbers = itertools.count(1)
    options = {OPTIONS[mode]: True} if mode in OPTIONS else {}
    trainer = train.Trainer(dialects.read(CALLS[framework]), arithmetic, **options)

    def epoch() -> Weights:
        draws = facts.draw(next(numbers), len(data.train_labels))
        trainer.begin(data.train_images, data.train_labels, draws)
        losses = trainer.advance(0, len(draws.order)).losses
        assert np.isfinite(losses).all()
        return [weight.copy() for weight in trainer.weights()]

    trainer.begin(data.train_images, data.train_labels, facts.draw(1, len(data.train_labels)))
    started = time.perf_counter()
    trainer.advance(0, 1)
    first = time.perf_counter() - started
    return Loop(framework, mode, arithmetic, train.DEVICE, epoch, first)


def compare(
    epoch: Callable[[], Weights], name: str, native: Callable[[], Any], full: bool
) -> dict[str, Any]:
    """Time our epoch in turn with another; gives the facts for the benchmark's JSON."""
    ratio = pairs.compare(epoch, native, seconds=0, rounds=ROUNDS[full])
    return {"native": name, "ratio": ratio._asdict(), "verdict": ratio.verdict()}


def products(threads: int) -> float:
    """The best seconds of an epoch's matrix products, forward and backward, in NumPy."""
    clock.load("numpy", threads, "samestep.frameworks.numpy.train")
    steps = len(mnist.load().train_labels) // facts.BATCH
    pixels, hidden, digits = facts.LAYERS
    x, h, g = (np.ones((facts.BATCH, size), np.float32) for size in facts.LAYERS)
    first = np.ones((pixels, hidden), np.float32)
    second = np.ones((hidden, digits), np.float32)

    def epoch() -> None:
        for _ in range(steps):
            _ = x @ first, h @ second, h.T @ g, g @ second.T, x.T @ h

    return min(_seconds(epoch) for _ in range(3))


MODES = (
    ("numpy", "eager"),
    ("pytorch", "eager"),
    ("pytorch", "public"),
    ("pytorch", "compiled"),
    ("tensorflow", "graph"),
    ("tensorflow", "xla"),
)
USUAL = (("numpy", "eager"), ("pytorch", "compiled"), ("tensorflow", "graph"))  # without --full


def loops() -> Iterator[Any]:
    """Every framework in every mode of its loop."""
    for framework, mode in MODES:
        marks = [pytest.mark.subject(usual=(framework, mode) in USUAL)]
        marks += [pytest.mark.compiled] if OPTIONS.get(mode) == "compiled" else []
        yield pytest.param(framework, mode, marks=marks)


@pytest.mark.parametrize(("framework", "mode"), list(loops()))
@pytest.mark.filterwarnings("ignore:compiled steps go by public functions")
def test_an_epoch(
    benchmark: Any, options: Options, framework: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32: our loop, in turn with the tutorials' loop and the quickest that users write.

    NumPy has none. ``public``: compiled by public functions alone, as under an untested release.
    """
    clock.load(framework, options.threads, f"samestep.frameworks.{framework}.train")
    if mode == "public":
        monkeypatch.setattr("samestep.frameworks.pytorch.inductor.TESTED", ())
    loop = ours(framework, mode, "float32", options.threads)
    before = loop.epoch()
    compared = {}
    if framework != "numpy":
        home = clock.load(framework, options.threads, f"samestep.bench.frameworks.{framework}")
        natives = home.epochs(CALLS[framework])
        usual = next(iter(natives))
        if not options.full:
            natives = {usual: natives[usual]}
        seconds = {
            name: min(_seconds(native) for _ in range(2)) for name, native in natives.items()
        }
        quickest = min(seconds, key=seconds.__getitem__)
        against = compare(loop.epoch, quickest, natives[quickest], options.full)
        usually = (
            against
            if usual == quickest
            else compare(loop.epoch, usual, natives[usual], options.full)
        )
        compared = {"native_seconds": seconds, "usual": usually, **against}
    _finish(benchmark, loop, options.threads, before, compared)


@pytest.mark.subject(usual=False)
@pytest.mark.parametrize("framework", CALLS)
def test_an_epoch_in_lockstep(benchmark: Any, options: Options, framework: str) -> None:
    """Our loop in lockstep, in turn with the same loop in float32."""
    loop = ours(framework, EAGER[framework], "lockstep", options.threads)
    free = ours(framework, EAGER[framework], "float32", options.threads).epoch
    free()
    before = loop.epoch()
    compared = compare(loop.epoch, f"ours {EAGER[framework]} float32", free, options.full)
    _finish(benchmark, loop, options.threads, before, compared)


def _finish(
    benchmark: Any, loop: Loop, threads: int, before: Weights, compared: dict[str, Any]
) -> None:
    """Let pytest-benchmark time the epoch by itself, and describe it."""
    call = CALLS[loop.framework]
    benchmark.group = f"epoch {call} {loop.device}"
    benchmark.name = f"{loop.framework} {loop.mode} {loop.arithmetic}"
    clock.describe(
        benchmark,
        loop.framework,
        call,
        implementation="ours",
        mode=loop.mode,
        arithmetic=loop.arithmetic,
        device=loop.device,
        threads=threads,
        first_step_seconds=loop.first_step_seconds,
        products_seconds=products(threads),
        **compared,
    )
    clock.check_moved(before, benchmark.pedantic(loop.epoch, rounds=1))


def _seconds(epoch: Callable[[], Any]) -> float:
    started = time.perf_counter()
    epoch()
    return time.perf_counter() - started
