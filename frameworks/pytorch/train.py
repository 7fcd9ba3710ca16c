"""Training in PyTorch: eagerly, or each step compiled as a whole."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from samestep.frameworks.experiment import facts
from samestep.frameworks.experiment.trainer import Observation, Observer
from samestep.reference import Rule

from . import model
from .optimizer import Optimizer

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Tensors = Sequence[torch.Tensor]


def set_threads(threads: int) -> None:
    """Bound the threads of one operation."""
    torch.set_num_threads(threads)


def settings() -> dict[str, bool | str]:
    """The settings of PyTorch that decide whether a run repeats to the last bit.

    On a GPU they also choose how matrices are multiplied.
    """
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


class Trainer:
    """The experiment under one rule; see ``experiment.trainer.Trainer``.

    ``arithmetic`` is one of ``facts.ARITHMETICS``. ``compiled`` makes one compiled function of a
    step: it takes seconds to compile, and less than half as long to run. Where that is not
    possible, loss and optimizer are compiled separately, with a warning. ValueError for ``xla``.
    """

    def __init__(
        self,
        rule: Rule,
        arithmetic: str,
        xla: bool = False,
        compiled: bool = False,
        device: str = DEVICE,
    ) -> None:
        if xla:
            raise ValueError("xla must be off for PyTorch, which has no XLA here")
        self.weight_dtype = torch.float64 if arithmetic == "float64" else torch.float32
        self.compute_dtype = torch.float32 if arithmetic == "float32" else torch.float64
        self.lockstep = arithmetic == "lockstep"
        self.device = device
        self.compiled = compiled
        self.parameters = model.parameters(facts.initial_weights(), device)
        for parameter in self.parameters:
            parameter.data = parameter.data.to(self.weight_dtype)
        self.optimizer: Any = Optimizer(self.parameters, rule, compiled=compiled)
        self._loss: Callable[..., torch.Tensor] = self._cross_entropy
        self._take = self._compiled_step() if compiled else self._eager_step

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Begin an epoch over uint8 images (n, 784) and labels (n,)."""
        steps = len(draws.order)
        losses = torch.zeros(steps, dtype=self.compute_dtype)
        lengths = torch.zeros(steps, dtype=torch.float64)
        batches = images[draws.order], labels[draws.order].astype(np.int64), draws.masks
        on_device = [x.to(self.device) for x in (*map(torch.from_numpy, batches), losses, lengths)]
        self._results = on_device[3], on_device[4]
        by_step = [x.unbind() for x in on_device[:3]]
        results_by_step = [x.split(1) for x in self._results]
        self._epoch = list(zip(*by_step, *results_by_step, strict=True))

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch."""
        for batch in self._epoch[first:last]:
            self._take(*batch)
        return facts.Steps(*(x[first:last].double().cpu().numpy().copy() for x in self._results))

    def step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mask: np.ndarray,
        observe: Observer | None = None,
    ) -> float:
        """Take one step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128).

        Gives the loss before the step. ``observe`` is called after the step; ValueError with
        ``compiled``, where only the whole step can be seen.
        """
        self.begin(images, labels, facts.Epoch(np.arange(len(labels))[None], mask[None]))
        if observe is None:
            return float(self.advance(0, 1).losses[0])
        if self.compiled:
            raise ValueError("a compiled step cannot be observed; make the trainer without it")
        observation = self._observed_step(*self._epoch[0][:3])
        observe(observation)
        return observation.loss

    def weights(self) -> list[np.ndarray]:
        """The weights, kernels (in, out); on the CPU they are views."""
        return model.weights(self.parameters)

    @torch.no_grad()
    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        logits = self._logits(self.parameters, torch.tensor(images, device=self.device), 1.0)
        return float((logits.argmax(dim=1).cpu().numpy() == labels).mean())

    def _eager_step(self, *batch: torch.Tensor) -> None:
        self._whole_step(self._optimizer_step, self.parameters, *batch)

    def _optimizer_step(self, gradients: Tensors) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def _observed_step(
        self, images: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> Observation:
        leaves = [theta.detach().requires_grad_() for theta in self.parameters]
        logits = self._logits(leaves, images, self._factors(mask))
        loss = self._loss_of(logits, labels)
        gradients = torch.autograd.grad(loss, leaves)
        self._optimizer_step(gradients)
        arrays = [gradient.cpu().numpy().T for gradient in gradients]
        return Observation(logits.detach().cpu().numpy(), float(loss.detach()), arrays)

    def _compiled_step(self) -> Callable[..., None]:
        from .compiled_training import CompiledTrainingStep

        try:
            return CompiledTrainingStep(self.optimizer, self.parameters, self._whole_step)
        except ValueError as error:
            warnings.warn(f"loss and optimizer are compiled apart: {error}", stacklevel=2)
        self._loss = torch.compile(self._cross_entropy)
        return self._eager_step

    def _whole_step(
        self, step: Callable[[Tensors], Any], thetas: Tensors, *batch: torch.Tensor
    ) -> None:
        """Compute the gradients of ``thetas`` on one batch and give them to ``step``.

        ``batch`` is images, labels, mask, and two numbers that are written to: the batch's loss,
        and how far the weights moved.
        """
        images, labels, mask, loss, length = batch
        with torch.enable_grad():
            leaves = [theta.detach().requires_grad_() for theta in thetas]
            value = self._loss(leaves, images, labels, mask)
            gradients = torch.autograd.grad(value, leaves)
        with torch.no_grad():
            before = [theta.clone() for theta in thetas]
            step(gradients)
            loss.copy_(value)
            moved = [(new - old).double() for new, old in zip(thetas, before, strict=True)]
            length.copy_(torch.stack([x.square().sum() for x in moved]).sum().sqrt())

    def _cross_entropy(
        self, thetas: Tensors, images: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        return self._loss_of(self._logits(thetas, images, self._factors(mask)), labels)

    def _loss_of(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.lockstep:
            return model.CrossEntropyOnGrid.apply(logits, labels)
        return functional.cross_entropy(logits, labels)

    def _factors(self, mask: torch.Tensor) -> torch.Tensor:
        """The factor of each hidden unit: 0, or 1 / (1 - dropout)."""
        return mask.to(self.compute_dtype) * (1 / (1 - facts.DROPOUT))

    def _logits(
        self, thetas: Tensors, images: torch.Tensor, factors: torch.Tensor | float
    ) -> torch.Tensor:
        forward = model.forward_on_grid if self.lockstep else model.forward
        return forward(thetas, images.to(self.compute_dtype) / 255, factors)
