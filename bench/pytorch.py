"""PyTorch's optimizer steps, ours and its own, ready to be timed."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from samestep.frameworks.experiment import facts, mnist
from samestep.frameworks.pytorch import Optimizer, model, native
from samestep.reference import Rule, dialects

from . import clock, sizes


def gpu() -> str | None:
    """The GPU's name, None without one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


@contextlib.contextmanager
def stepper(what: Rule | dialects.Call, mode: str, device: str, size: str = "mnist") -> Iterator[clock.Stepper]:
    """The weights of a size under a rule (ours) or a call (the native), stepped in ``mode``."""
    parameters = model.parameters(sizes.weights(size), device)
    for parameter, gradient in zip(parameters, model.parameters(sizes.gradients(size), device), strict=True):
        parameter.grad = gradient.detach()
    optimizer = _optimizer(parameters, what, mode)
    step = optimizer.step
    if mode == "compiled" and not isinstance(what, Rule):  # apart from other optimizers: recompilations are limited
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
    compiled = "for-loop" if what.name in native.UNVARIED else "foreach"  # what PyTorch's compiler is given
    return native.optimizer(parameters, what, compiled if mode == "compiled" else mode)


def usual(name: str, device: str) -> str:
    """The implementation of ``torch.optim.<name>`` for who asks for none."""
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
    """An epoch as PyTorch's tutorials write it, by name: DataLoader, a module, ``backward`` and torch.optim's step, in
    its default implementation and in its quickest for a model of this size. Each gives the weights."""
    data, (_, name, arguments) = mnist.load(), dialects.parse(call)
    images = torch.from_numpy(data.train_images / np.float32(255))
    pairs = torch.utils.data.TensorDataset(images, torch.from_numpy(data.train_labels.astype(np.int64)))
    loader = torch.utils.data.DataLoader(pairs, batch_size=facts.BATCH, shuffle=True)
    found: dict[str, Callable[[], list[Any]]] = {}
    for way in ("DataLoader", *(["DataLoader fused"] if name in native.FUSED else [])):
        module = torch.nn.Sequential(
            torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Dropout(facts.DROPOUT), torch.nn.Linear(128, 10)
        )
        options = {"fused": True} if way.endswith("fused") else {}
        optimizer = getattr(torch.optim, name)(module.parameters(), **arguments, **options)
        found[way] = functools.partial(_epoch, loader, module, torch.nn.CrossEntropyLoss(), optimizer)
    return found


def _epoch(loader: Any, module: Any, loss: Any, optimizer: Any) -> list[np.ndarray]:
    for images, labels in loader:
        optimizer.zero_grad()
        loss(module(images), labels).backward()
        optimizer.step()
    return [parameter.detach().numpy().copy() for parameter in module.parameters()]
