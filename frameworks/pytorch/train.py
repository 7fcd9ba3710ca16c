"""Training in PyTorch, a step at a time."""

import numpy as np
import torch
from torch.nn import functional

from reference import Rule

from .. import experiment
from . import model
from .optimizer import Optimizer

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def set_threads(threads: int) -> None:
    """Bound the threads of one operation."""
    torch.set_num_threads(threads)


class Trainer:
    """The experiment under one rule. ``arithmetic`` is one of ``experiment.ARITHMETICS``."""

    def __init__(self, rule: Rule, arithmetic: str, xla: bool = False, device: str = DEVICE) -> None:
        if xla:
            raise ValueError("xla must be off for PyTorch, which has no XLA here")
        self.kept = torch.float64 if arithmetic == "float64" else torch.float32
        self.computed = torch.float32 if arithmetic == "float32" else torch.float64
        self.lockstep = arithmetic == "lockstep"
        self.device = device
        self.parameters = model.parameters(experiment.initial_weights(), device)
        for parameter in self.parameters:
            parameter.data = parameter.data.to(self.kept)
        self.optimizer = Optimizer(self.parameters, rule)

    def step(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> float:
        """One step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128); the loss before it."""
        scale = torch.from_numpy(mask).to(self.device, self.computed) * (1 / (1 - experiment.DROPOUT))
        target = torch.from_numpy(labels.astype(np.int64)).to(self.device)
        cross_entropy = model.CrossEntropyOnGrid.apply if self.lockstep else functional.cross_entropy
        self.optimizer.zero_grad()
        loss = cross_entropy(self._logits(images, scale), target)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def weights(self) -> list[np.ndarray]:
        """The weights, kernels (in, out); on the CPU they are views."""
        return model.weights(self.parameters)

    @torch.no_grad()
    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        return float((self._logits(images, 1.0).argmax(dim=1).cpu().numpy() == labels).mean())

    def _logits(self, images: np.ndarray, mask: torch.Tensor | float) -> torch.Tensor:
        forward = model.forward_on_grid if self.lockstep else model.forward
        pixels = torch.from_numpy(images / np.float64(255)).to(self.device, self.computed)
        return forward(self.parameters, pixels, mask)
