"""Training in PyTorch: eagerly, or each step compiled as a whole."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from samestep.frameworks.experiment import facts
from samestep.reference import Rule

from . import model
from .optimizer import Optimizer

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Tensors = Sequence[torch.Tensor]


def set_threads(threads: int) -> None:
    """Bound the threads of one operation."""
    torch.set_num_threads(threads)


def settings() -> dict[str, bool | str]:
    """PyTorch's own on which it depends whether a run repeats to the last bit, and with what products on a GPU."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


class Trainer:
    """The experiment under one rule. ``arithmetic`` is one of ``facts.ARITHMETICS``.

    ``compiled`` makes one compiled function of a step: it takes seconds to compile, and less than half as long to run.
    Where that is not possible, loss and optimizer are compiled apart, which is said in a warning.
    """

    def __init__(
        self, rule: Rule, arithmetic: str, xla: bool = False, compiled: bool = False, device: str = DEVICE
    ) -> None:
        if xla:
            raise ValueError("xla must be off for PyTorch, which has no XLA here")
        self.kept = torch.float64 if arithmetic == "float64" else torch.float32
        self.computed = torch.float32 if arithmetic == "float32" else torch.float64
        self.lockstep, self.device = arithmetic == "lockstep", device
        self.parameters = model.parameters(facts.initial_weights(), device)
        for parameter in self.parameters:
            parameter.data = parameter.data.to(self.kept)
        self.optimizer: Any = Optimizer(self.parameters, rule, compiled=compiled)
        self._loss: Callable[..., torch.Tensor] = self._cross_entropy
        self._take = self._compiled() if compiled else self._eagerly

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Take up an epoch over uint8 images (n, 784) and labels (n,)."""
        batches = images[draws.order], labels[draws.order].astype(np.int64), draws.kept
        steps = len(draws.order)
        self._told = torch.zeros(steps, dtype=self.computed), torch.zeros(steps, dtype=torch.float64)
        tensors = [x.to(self.device) for x in (*map(torch.from_numpy, batches), *self._told)]
        self._told = tensors[3], tensors[4]
        self._epoch = list(zip(*(x.unbind() for x in tensors[:3]), *(x.split(1) for x in self._told), strict=True))

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch that was begun."""
        for batch in self._epoch[first:last]:
            self._take(*batch)
        return facts.Steps(*(x[first:last].double().cpu().numpy().copy() for x in self._told))

    def step(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> float:
        """One step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128); the loss before it."""
        self.begin(images, labels, facts.Epoch(np.arange(len(labels))[None], mask[None]))
        return float(self.advance(0, 1).losses[0])

    def weights(self) -> list[np.ndarray]:
        """The weights, kernels (in, out); on the CPU they are views."""
        return model.weights(self.parameters)

    @torch.no_grad()
    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        logits = self._logits(self.parameters, torch.tensor(images, device=self.device), 1.0)
        return float((logits.argmax(dim=1).cpu().numpy() == labels).mean())

    def _eagerly(self, *batch: torch.Tensor) -> None:
        self._whole(self._step, self.parameters, *batch)

    def _step(self, gradients: Tensors) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def _compiled(self) -> Callable[..., None]:
        from .whole import WholeStep

        try:
            return WholeStep(self.optimizer, self.parameters, self._whole)
        except ValueError as error:
            warnings.warn(f"loss and optimizer are compiled apart: {error}", stacklevel=2)
        self._loss = torch.compile(self._cross_entropy)
        return self._eagerly

    def _whole(
        self, step: Callable[[Tensors], Any], thetas: Tensors, images: torch.Tensor, labels: torch.Tensor,
        kept: torch.Tensor, loss: torch.Tensor, length: torch.Tensor,
    ) -> None:  # fmt: skip
        """A step on one batch, which writes its loss, and how far it moved the weights, to the last two."""
        with torch.enable_grad():
            leaves = [theta.detach().requires_grad_() for theta in thetas]
            value = self._loss(leaves, images, labels, kept)
            gradients = torch.autograd.grad(value, leaves)
        with torch.no_grad():
            before = [theta.clone() for theta in thetas]
            step(gradients)
            loss.copy_(value)
            moved = [(new - old).double() for new, old in zip(thetas, before, strict=True)]
            length.copy_(torch.stack([x.square().sum() for x in moved]).sum().sqrt())

    def _cross_entropy(
        self, thetas: Tensors, images: torch.Tensor, labels: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        mask = kept.to(self.computed) * (1 / (1 - facts.DROPOUT))
        cross_entropy = model.CrossEntropyOnGrid.apply if self.lockstep else functional.cross_entropy
        return cross_entropy(self._logits(thetas, images, mask), labels)

    def _logits(self, thetas: Tensors, images: torch.Tensor, mask: torch.Tensor | float) -> torch.Tensor:
        forward = model.forward_on_grid if self.lockstep else model.forward
        return forward(thetas, images.to(self.computed) / 255, mask)
