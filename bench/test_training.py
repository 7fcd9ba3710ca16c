"""What an epoch of the experiment costs, 1,875 batches of 32 drawn anew: ours, and the frameworks' own loops."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from frameworks import experiment, mnist
from reference import dialects

from . import clock, pairs

CALLS = {
    "numpy": "keras:Adam(learning_rate=0.001)",
    "pytorch": "pytorch:Adam(lr=0.001)",
    "tensorflow": "keras:Adam(learning_rate=0.001)",
}
EAGER = {"numpy": "eager", "pytorch": "eager", "tensorflow": "graph"}  # the loop that needs no long compilation
COMPILED = ("compiled", "xla")  # modes that a Trainer must be asked for
ROUNDS = 3  # of a comparison, each of four epochs

Weights = list[np.ndarray]


def ours(framework: str, mode: str, arithmetic: str, train: Any) -> tuple[Callable[[], Weights], float]:
    """Our loop's epoch, drawing and preparing its batches included, and the seconds of the first step."""
    data, numbers = mnist.load(), itertools.count(1)
    options = {mode: True} if mode in COMPILED else {}
    trainer = train.Trainer(dialects.read(CALLS[framework]), arithmetic, **options)

    def epoch() -> Weights:
        draws = experiment.draw(next(numbers), len(data.train_labels))
        trainer.begin(data.train_images, data.train_labels, draws)
        losses = trainer.advance(0, len(draws.order)).losses
        assert np.isfinite(losses).all()
        return [weight.copy() for weight in trainer.weights()]

    trainer.begin(data.train_images, data.train_labels, experiment.draw(1, len(data.train_labels)))
    started = time.perf_counter()
    trainer.advance(0, 1)
    return epoch, time.perf_counter() - started


def facts(ratio: pairs.Ratio) -> dict[str, Any]:
    """A comparison, as it is written down."""
    return {"ratio": ratio._asdict(), "verdict": ratio.verdict()}


@pytest.mark.parametrize(
    ("framework", "mode"),
    [
        ("numpy", "eager"), ("pytorch", "eager"), pytest.param("pytorch", "compiled", marks=pytest.mark.compiled),
        ("tensorflow", "graph"), ("tensorflow", "xla"),
    ],
)  # fmt: skip
def test_an_epoch(benchmark: Any, threads: int, framework: str, mode: str) -> None:
    """In float32: our loop, and in turn with it the quickest that the framework's users write. NumPy's have none."""
    train = clock.load(framework, threads, f"frameworks.{framework}.train")
    epoch, first = ours(framework, mode, "float32", train)
    before, compared = epoch(), {}
    if framework != "numpy":
        natives = clock.load(framework, threads, f"bench.{framework}").epochs(CALLS[framework])
        seconds = {name: min(_seconds(native) for _ in range(2)) for name, native in natives.items()}
        quickest = min(seconds, key=seconds.__getitem__)
        ratio = pairs.compare(epoch, natives[quickest], seconds=0, rounds=ROUNDS)
        compared = {"native": quickest, "native_seconds": seconds, **facts(ratio)}
    _finish(benchmark, framework, mode, "float32", train, threads, first, before, epoch, compared)


@pytest.mark.parametrize("framework", CALLS)
def test_an_epoch_in_lockstep(benchmark: Any, threads: int, framework: str) -> None:
    """Our loop in lockstep, in turn with the same loop in float32."""
    train = clock.load(framework, threads, f"frameworks.{framework}.train")
    epoch, first = ours(framework, EAGER[framework], "lockstep", train)
    free, _ = ours(framework, EAGER[framework], "float32", train)
    free()
    before, ratio = epoch(), pairs.compare(epoch, free, seconds=0, rounds=ROUNDS)
    compared = {"native": f"ours {EAGER[framework]} float32", **facts(ratio)}
    _finish(benchmark, framework, EAGER[framework], "lockstep", train, threads, first, before, epoch, compared)


def _finish(
    benchmark: Any, framework: str, mode: str, arithmetic: str, train: Any, threads: int, first: float,
    before: Weights, epoch: Callable[[], Weights], compared: dict[str, Any],
) -> None:  # fmt: skip
    """Let pytest-benchmark time the epoch by itself, and write down what it was."""
    benchmark.group = f"epoch {CALLS[framework]} {train.DEVICE}"
    benchmark.name = f"{framework} {mode} {arithmetic}"
    clock.describe(
        benchmark, framework, CALLS[framework], implementation="ours", mode=mode, arithmetic=arithmetic,
        device=train.DEVICE, threads=threads, first_step_seconds=first, **compared,
    )  # fmt: skip
    clock.check_moved(before, benchmark.pedantic(epoch, rounds=1))


def _seconds(epoch: Callable[[], Any]) -> float:
    started = time.perf_counter()
    epoch()
    return time.perf_counter() - started
