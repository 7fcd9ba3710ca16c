"""A training step as one compiled function: from a batch to its gradient and the moved tensors."""

import functools
import warnings
from collections.abc import Callable, Sequence

import torch

from .inductor import Tensors
from .optimizer import Optimizer, apply_move, moves_of
from .trace import Move, Trace, TrainingStep, written_by


class CompiledTrainingStep:
    """Takes steps of ``optimizer`` on batches, each step in one compiled function.

    ``training_step(step, thetas, *batch)`` is the function that is compiled. It must compute the
    gradients of ``thetas``, as new tensors, and give them to ``step``, once. The first call
    compiles; later batches must have the first one's shapes. Where compiling fails, for want of a
    C++ compiler, say, steps are eager, with a warning. ValueError if a tensor is not on the CPU.
    """

    def __init__(
        self, optimizer: Optimizer, thetas: Sequence[torch.Tensor], training_step: TrainingStep
    ) -> None:
        if any(theta.device.type != "cpu" for theta in thetas):
            raise ValueError("steps are compiled as a whole on the CPU alone")
        self.optimizer = optimizer
        self.training_step = training_step
        self.way: Callable[[list[Move], Tensors], None] | None = None
        for theta in thetas:
            # A gradient marks a tensor that moves; nothing is written to this one.
            theta.grad = torch.zeros_like(theta)

    @torch.no_grad()
    def __call__(self, *batch: torch.Tensor) -> None:
        """Take a step."""
        moves = moves_of(self.optimizer)
        tensors = [*written_by(moves), *batch]
        if self.way is None:
            self.way = self._choose_way(moves, tensors, len(batch))
        self.way(moves, tensors)

    def _choose_way(
        self, moves: list[Move], tensors: Tensors, batch: int
    ) -> Callable[[list[Move], Tensors], None]:
        try:
            return Trace(apply_move, moves, tensors, self.training_step)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            warnings.warn(
                f"steps are eager, for compiling them failed: {type(error).__name__}: {reason}",
                stacklevel=3,
            )
            return functools.partial(self._eager_step, batch)

    def _eager_step(self, batch: int, moves: list[Move], tensors: Tensors) -> None:
        def step(gradients: Sequence[torch.Tensor]) -> None:
            for move, gradient in zip(moves, gradients, strict=True):
                apply_move(*move._replace(gradient=gradient))

        self.training_step(step, [move.theta for move in moves], *tensors[-batch:])
