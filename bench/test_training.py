"""What an epoch of the experiment costs: MNIST, 1,875 batches of 32, plain float32 arithmetic, one framework a run."""

from typing import Any

import pytest

from frameworks import experiment, mnist
from reference import dialects

from . import clock

CALL = "keras:Adam(learning_rate=0.001)"
MODES = {"numpy": "eager", "pytorch": "eager", "tensorflow": "graph"}  # how each Trainer takes a step


@pytest.mark.parametrize("framework", MODES)
def test_an_epoch(benchmark: Any, threads: int, framework: str) -> None:
    """One pass over the training set, batches prepared beforehand; the first step was taken before, and timed apart."""
    train = clock.load(framework, threads, f"frameworks.{framework}.train")
    data = mnist.load()
    images, labels = data.train_images, data.train_labels
    batches = [(images[i], labels[i], mask) for i, mask in experiment.batches(epoch=1, size=len(labels))]
    trainer = train.Trainer(dialects.read(CALL), "float32")

    def weights() -> list[Any]:
        return [weight.copy() for weight in trainer.weights()]

    def epoch() -> list[Any]:
        for batch in batches:
            trainer.step(*batch)
        return weights()  # waits for the last step

    benchmark.group, benchmark.name = f"epoch {CALL} {train.DEVICE}", f"{framework} {MODES[framework]}"
    first = clock.warm_up(clock.Stepper(lambda: trainer.step(*batches[0]), weights))
    clock.describe(
        benchmark, framework, CALL, implementation="ours", mode=MODES[framework], device=train.DEVICE,
        threads=threads, first_step_seconds=first,
    )  # fmt: skip
    clock.check_moved(weights(), benchmark.pedantic(epoch))
    benchmark.extra_info["accuracy"] = trainer.accuracy(data.test_images, data.test_labels)
