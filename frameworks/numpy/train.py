"""Training in NumPy."""

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.reference import Rule

from . import exactness, model
from .optimizer import Optimizer

DEVICE = "cpu"


def set_threads(threads: int) -> None:
    """Bound the threads of NumPy's matrix products, before or after they started."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(threads)


def settings() -> dict[str, bool | str]:
    """What of NumPy may be set so that a result changes: nothing."""
    return {}


class Trainer:
    """The experiment under one rule. ``arithmetic`` is one of ``facts.ARITHMETICS``."""

    def __init__(self, rule: Rule, arithmetic: str, xla: bool = False, compiled: bool = False) -> None:
        if xla:
            raise ValueError("xla must be off for NumPy, which has no XLA")
        if compiled:
            raise ValueError("compiled must be off for NumPy, which has no compiler")
        self.kept = np.float64 if arithmetic == "float64" else np.float32  # dtype of weights and state
        self.computed = np.float32 if arithmetic == "float32" else np.float64  # dtype of the gradient's computation
        self.grid = model.on_grid if arithmetic == "lockstep" else model.as_is
        self.parameters = [weight.astype(self.kept) for weight in facts.initial_weights()]
        self.optimizer = Optimizer(self.parameters, rule)

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Take up an epoch over uint8 images (n, 784) and labels (n,)."""
        self._data, self._draws = (images, labels), draws

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch that was begun."""
        losses, lengths = [], []
        for step in range(first, last):
            before: list[np.ndarray] = [parameter.copy() for parameter in self.parameters]
            losses.append(self.step(*self.batch(step)))
            moved = [(p - b).ravel().astype(np.float64) for p, b in zip(self.parameters, before, strict=True)]
            lengths.append(np.sqrt(sum(x @ x for x in moved)))
        return facts.Steps(np.array(losses, np.float64), np.array(lengths))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, labels and kept hidden units of a step of the epoch that was begun."""
        (images, labels), order = self._data, self._draws.order[step]
        return images[order], labels[order], self._draws.kept[step]

    def step(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> float:
        """One step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128); the loss before it."""
        loss, gradients = model.loss_and_gradients(
            self._computed(),
            self._pixels(images),
            labels,
            mask * self.computed(1 / (1 - facts.DROPOUT)),
            self.grid,
        )
        self.optimizer.step([gradient.astype(self.kept, copy=False) for gradient in gradients])
        return loss

    def weights(self) -> list[np.ndarray]:
        """Views of the weights, kernels (in, out)."""
        return self.parameters

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        *_, logits = model.forward(self._computed(), self._pixels(images), self.computed(1), self.grid)
        return float((logits.argmax(axis=1) == labels).mean())

    def order_dependent(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> int:
        """How many elements of this step's lockstep gradient the order of a sum could change; see ``exactness``."""
        scaled = mask * self.computed(1 / (1 - facts.DROPOUT))
        return exactness.order_dependent(self._computed(), self._pixels(images), labels, scaled)[0]

    def _computed(self) -> list[np.ndarray]:
        return [weight.astype(self.computed, copy=False) for weight in self.parameters]

    def _pixels(self, images: np.ndarray) -> np.ndarray:
        return images / self.computed(255)
