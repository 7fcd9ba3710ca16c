"""PyTorch's optimizer steps, ours and its own, ready to be timed."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from samestep.bench import clock, sizes
from samestep.frameworks.experiment import facts, mnist
from samestep.frameworks.pytorch import Optimizer, model, native
from samestep.reference import Rule, dialects


def gpu() -> str | None:
    """The GPU's name, None without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


@contextlib.contextmanager
def stepper(
    what: Rule | dialects.Call, mode: str, device: str, size: str = "mnist"
) -> Iterator[clock.Stepper]:
    """The weights of a size under a rule (ours) or a call (the native), stepped in ``mode``."""
    parameters = model.parameters(sizes.weights(size), device)
    gradients = model.parameters(sizes.gradients(size), device)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.detach()
    optimizer = _optimizer(parameters, what, mode)
    step = optimizer.step
    if mode == "compiled" and not isinstance(what, Rule):
        # Recompilations are limited, so each optimizer counts its own.
        step = torch.compile(step, isolate_recompiles=True)

    def step_and_wait() -> None:
        step()
        torch.cuda.synchronize()

    def weights() -> list[np.ndarray]:
        return [weight.copy() for weight in model.weights(parameters)]

    yield clock.Stepper(step_and_wait if device == "cuda" else step, weights)


def _optimizer(
    parameters: Sequence[torch.nn.Parameter], what: Rule | dialects.Call, mode: str
) -> torch.optim.Optimizer:
    if isinstance(what, Rule):
        return Optimizer(parameters, what, compiled=mode == "compiled")
    implementation = mode
    if mode == "compiled":
        implementation = "for-loop" if what.name in native.UNVARIED else "foreach"
    return native.optimizer(parameters, what, implementation)


def usual(name: str, device: str) -> str:
    """The implementation of ``torch.optim.<name>`` that torch uses by default."""
    loop = device == "cpu" or name in ("Adafactor", *native.UNVARIED)
    return "for-loop" if loop else "foreach"


def axpy(parameters: int, device: str) -> Callable[[], Any]:
    """y <- y + x / 2 in place, float32: 12 bytes a parameter, as fast as the memory allows."""
    x, y = (torch.full((parameters,), value, device=device) for value in (1e-3, 1.0))

    def step() -> None:
        y.add_(x, alpha=0.5)
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def epochs(call: str) -> dict[str, Callable[[], list[np.ndarray]]]:
    """An epoch as PyTorch's tutorials write it, by name; each function gives the weights.

    It has a DataLoader, a module, ``backward`` and torch.optim's step: in the default
    implementation, and in the quickest for a model of this size.
    """
    _, name, arguments = dialects.parse(call)
    data = mnist.load()
    images = torch.from_numpy(data.train_images / np.float32(255))
    pairs = torch.utils.data.TensorDataset(
        images, torch.from_numpy(data.train_labels.astype(np.int64))
    )
    loader = torch.utils.data.DataLoader(pairs, batch_size=facts.BATCH, shuffle=True)
    epochs_by_name: dict[str, Callable[[], list[Any]]] = {}
    for way in ("DataLoader", *(["DataLoader fused"] if name in native.FUSED else [])):
        module = torch.nn.Sequential(
            torch.nn.Linear(784, 128),
            torch.nn.ReLU(),
            torch.nn.Dropout(facts.DROPOUT),
            torch.nn.Linear(128, 10),
        )
        options = {"fused": True} if way.endswith("fused") else {}
        optimizer = getattr(torch.optim, name)(module.parameters(), **arguments, **options)
        loss = torch.nn.CrossEntropyLoss()
        epochs_by_name[way] = functools.partial(_epoch, loader, module, loss, optimizer)
    return epochs_by_name


def _epoch(loader: Any, module: Any, loss: Any, optimizer: Any) -> list[np.ndarray]:
    for images, labels in loader:
        optimizer.zero_grad()
        loss(module(images), labels).backward()
        optimizer.step()
    return [parameter.detach().numpy().copy() for parameter in module.parameters()]
