"""Runs on MNIST that a user may have saved and loaded, in PyTorch and in Keras."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf, torch

from samestep.parity.tests.support.mnist_batches import batches

BATCH = 16
Run = dict[str, Any]


def batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a step, the same whoever asks."""
    return all_batches()[number]


@functools.cache
def all_batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Enough batches for the longest run."""
    return batches(80, BATCH)


def torch_run(
    make: Callable[[Any], Any], dtype: Any = None, layers: Callable[[], list[Any]] | None = None
) -> Run:
    """A small model and the optimizer that ``make`` gives for its parameters."""
    inside = layers() if layers else []
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 16), *inside, torch.nn.ReLU(), torch.nn.Linear(16, 10)
    )
    model.to(dtype or torch.float32)
    optimizer = make(model.parameters())
    run: Run = {"model": model, "optimizer": optimizer}

    def step(number: int) -> None:
        images, labels = batch(number)
        output = model(torch.from_numpy(images).to(dtype or torch.float32))
        loss = torch.nn.functional.cross_entropy(output.float(), torch.from_numpy(labels))
        run["optimizer"].zero_grad()
        loss.backward()
        run["optimizer"].step()
        if "scheduler" in run:
            run["scheduler"].step()

    run["step"] = step
    return run


def scheduled(make: Callable[[Any], Any], schedule: Callable[[Any], Any]) -> Run:
    """A run of PyTorch with a scheduler."""
    run = torch_run(make)
    run["scheduler"] = schedule(run["optimizer"])
    return run


def keras_run(make: Callable[[], Any], layers: Callable[[], list[Any]] | None = None) -> Run:
    """A compiled model of Keras; its optimizer is built by the first step."""
    inside = layers() if layers else []
    model = keras.Sequential(
        [
            keras.layers.Input((784,)), keras.layers.Dense(16), *inside,
            keras.layers.ReLU(), keras.layers.Dense(10),
        ]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=make(), loss=loss)
    return {"model": model, "step": lambda number: model.train_on_batch(*batch(number))}


def built(run: Run) -> Run:
    """The same with its optimizer built, as the cure says."""
    run["model"].optimizer.build(run["model"].trainable_variables)
    return run


def torch_feed() -> Run:
    """A run that takes batches from an iterable, whose position no part has."""
    run = torch_run(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    by_number = run["step"]
    return {**run, "batches": Numbers(), "step": by_number}


class Numbers:
    """The numbers of batches; it may begin later."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, 500))


def custom_loop() -> Run:
    """A model of Keras and an optimizer that it was not compiled with."""
    model = keras.Sequential([keras.layers.Input((784,)), keras.layers.Dense(10)])
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(number: int) -> None:
        images, labels = batch(number)
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients)

    return {"model": model, "optimizer": optimizer, "step": step}


def states(run: Run) -> dict[str, Any]:
    """The state_dict of each part of PyTorch."""
    return {name: part.state_dict() for name, part in run.items() if hasattr(part, "state_dict")}


def saved_states(run: Run, folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """What a user's own function saves, some parts forgotten."""
    torch.save({k: v for k, v in states(run).items() if k not in leave_out}, folder / "mine.pt")


def load_states(run: Run, folder: Path) -> None:
    """The counterpart."""
    for name, state in torch.load(folder / "mine.pt", weights_only=True).items():
        run[name].load_state_dict(state)
