"""Training in NumPy."""

import numpy as np

from samestep.frameworks.experiment import facts
from samestep.frameworks.experiment.trainer import Observation, Observer
from samestep.reference import Rule

from . import exactness, model
from .optimizer import Optimizer

DEVICE = "cpu"


def set_threads(threads: int) -> None:
    """Bound the threads of NumPy's matrix products, before or after they started."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(threads)


def settings() -> dict[str, bool | str]:
    """The settings of NumPy that may change a result: there are none."""
    return {}


class Trainer:
    """The experiment under one rule; see ``experiment.trainer.Trainer``.

    ``arithmetic`` is one of ``facts.ARITHMETICS``. ValueError for ``xla`` and ``compiled``.
    """

    def __init__(
        self, rule: Rule, arithmetic: str, xla: bool = False, compiled: bool = False
    ) -> None:
        if xla:
            raise ValueError("xla must be off for NumPy, which has no XLA")
        if compiled:
            raise ValueError("compiled must be off for NumPy, which has no compiler")
        self.weight_dtype = np.float64 if arithmetic == "float64" else np.float32
        self.compute_dtype = np.float32 if arithmetic == "float32" else np.float64
        self.grid = model.on_grid if arithmetic == "lockstep" else model.as_is
        self.parameters = [weight.astype(self.weight_dtype) for weight in facts.initial_weights()]
        self.optimizer = Optimizer(self.parameters, rule)

    def begin(self, images: np.ndarray, labels: np.ndarray, draws: facts.Epoch) -> None:
        """Begin an epoch over uint8 images (n, 784) and labels (n,)."""
        self._data = images, labels
        self._draws = draws

    def advance(self, first: int, last: int) -> facts.Steps:
        """Take the steps ``first`` to ``last`` (exclusive, from 0) of the epoch."""
        losses, lengths = [], []
        for step in range(first, last):
            before: list[np.ndarray] = [parameter.copy() for parameter in self.parameters]
            losses.append(self.step(*self.batch(step)))
            moved = [
                (new - old).ravel().astype(np.float64)
                for new, old in zip(self.parameters, before, strict=True)
            ]
            lengths.append(np.sqrt(sum(x @ x for x in moved)))
        return facts.Steps(np.array(losses, np.float64), np.array(lengths))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, labels and kept hidden units of a step of the epoch."""
        images, labels = self._data
        order = self._draws.order[step]
        return images[order], labels[order], self._draws.masks[step]

    def step(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mask: np.ndarray,
        observe: Observer | None = None,
    ) -> float:
        """Take one step on uint8 images (32, 784), labels (32,) and kept hidden units (32, 128).

        Gives the loss before the step. ``observe`` is called after the step.
        """
        weights = self._widened_weights()
        pixels = self._pixels(images)
        factors = mask * self.compute_dtype(1 / (1 - facts.DROPOUT))
        loss, gradients = model.loss_and_gradients(weights, pixels, labels, factors, self.grid)
        rounded = [gradient.astype(self.weight_dtype, copy=False) for gradient in gradients]
        if observe is None:
            self.optimizer.step(rounded)
            return loss
        *_, logits = model.forward(weights, pixels, factors, self.grid)
        self.optimizer.step(rounded)
        observe(Observation(logits, loss, rounded))
        return loss

    def weights(self) -> list[np.ndarray]:
        """Views of the weights, kernels (in, out)."""
        return self.parameters

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose largest logit is at their label."""
        *_, logits = model.forward(
            self._widened_weights(), self._pixels(images), self.compute_dtype(1), self.grid
        )
        return float((logits.argmax(axis=1) == labels).mean())

    def order_dependent(self, images: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> int:
        """How many elements of this step's lockstep gradient the order of a sum could change.

        See ``exactness.order_dependent``.
        """
        factors = mask * self.compute_dtype(1 / (1 - facts.DROPOUT))
        weights = self._widened_weights()
        return exactness.order_dependent(weights, self._pixels(images), labels, factors)[0]

    def _widened_weights(self) -> list[np.ndarray]:
        return [weight.astype(self.compute_dtype, copy=False) for weight in self.parameters]

    def _pixels(self, images: np.ndarray) -> np.ndarray:
        return images / self.compute_dtype(255)
