"""A training step as one compiled function: from a batch to its gradient, and on to the moved tensors."""

import functools
import warnings
from collections.abc import Callable, Sequence

import torch

from . import compiled
from .optimizer import Optimizer, _apply, _moves


class WholeStep:
    """Takes steps of ``optimizer`` on batches. ``whole(step, thetas, *batch)`` is what is compiled: it must compute the
    gradients of ``thetas``, as new tensors, and give them to ``step``, once.

    The first step compiles; later batches must have its shapes. Where compiling fails, for want of a C++ compiler, say,
    steps are eager, which is said in a warning. ValueError where this way is closed: on other devices than the CPU.
    """

    def __init__(self, optimizer: Optimizer, thetas: Sequence[torch.Tensor], whole: compiled.Whole) -> None:
        if any(theta.device.type != "cpu" for theta in thetas):
            raise ValueError("steps are compiled as a whole on the CPU alone")
        self.optimizer, self.whole = optimizer, whole
        self.way: Callable[[list[compiled.Move], compiled.Tensors], None] | None = None
        for theta in thetas:
            theta.grad = torch.zeros_like(theta)  # it says that theta moves; what is computed is not written there

    @torch.no_grad()
    def __call__(self, *batch: torch.Tensor) -> None:
        """Take a step."""
        moves = _moves(self.optimizer)
        tensors = [*compiled.written_by(moves), *batch]
        if self.way is None:
            self.way = self._find(moves, tensors, len(batch))
        self.way(moves, tensors)

    def _find(
        self, moves: list[compiled.Move], tensors: compiled.Tensors, batch: int
    ) -> Callable[[list[compiled.Move], compiled.Tensors], None]:
        try:
            return compiled.Trace(_apply, moves, tensors, self.whole)
        except Exception as error:
            told = str(error).strip().partition("\n")[0]
            warnings.warn(f"steps are eager, for compiling them failed: {type(error).__name__}: {told}", stacklevel=3)
            return functools.partial(self._eagerly, batch)

    def _eagerly(self, batch: int, moves: list[compiled.Move], tensors: compiled.Tensors) -> None:
        def step(gradients: Sequence[torch.Tensor]) -> None:
            for move, gradient in zip(moves, gradients, strict=True):
                _apply(*move._replace(gradient=gradient))

        self.whole(step, [move.theta for move in moves], *tensors[-batch:])
