"""What every framework's ``train`` module offers: the contract of the three trainers."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import facts


class Observation(NamedTuple):
    """One step as its observer sees it, after the update; arrays are NumPy's, kernels (in, out).

    ``logits`` (32, 10) and ``loss`` are of the weights before the step. ``gradients`` are those
    that the optimizer was given, in the order of ``facts.NAMES``. The weights and the optimizer's
    state after the step are read from the trainer.
    """

    logits: np.ndarray
    loss: float
    gradients: list[np.ndarray]


Observer = Callable[[Observation], None]


class Trainer(Protocol):
    """The experiment under one rule in one framework.

    ``optimizer`` moves ``parameters``, which are the framework's own tensors or variables. Before
    the first step another optimizer of the framework may take its place.
    """

    parameters: list[Any]
    optimizer: Any

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Begin an epoch over uint8 images (n, 784) and labels (n,)."""
        ...

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch."""
        ...

    def step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mask: np.ndarray,
        observe: Observer | None = None,
    ) -> float:
        """Take one step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128).

        Gives the loss before the step. ``observe`` is called after the step; the step has the same
        bits with and without it.
        """
        ...

    def weights(self) -> list[np.ndarray]:
        """The weights in the order of ``facts.NAMES``, kernels (in, out)."""
        ...

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        ...
