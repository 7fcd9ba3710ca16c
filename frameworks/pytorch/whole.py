"""A training step as one compiled function: from a batch to its gradient, and on to the moved tensors."""

import itertools
from collections.abc import Sequence

import torch

from . import compiled
from .optimizer import Optimizer, _apply, _moves


class WholeStep:
    """Takes steps of ``optimizer`` on batches. ``whole(step, thetas, *batch)`` is what is compiled: it must compute the
    gradients of ``thetas``, as new tensors, and give them to ``step``, once.

    The first step compiles; later batches must have its shapes. ValueError where this way is closed: on other devices
    than the CPU, and under releases of torch that it is not tested with.
    """

    def __init__(self, optimizer: Optimizer, thetas: Sequence[torch.Tensor], whole: compiled.Whole) -> None:
        if any(theta.device.type != "cpu" for theta in thetas):
            raise ValueError("steps are compiled as a whole on the CPU alone")
        if not torch.__version__.startswith(tuple(f"{release}." for release in compiled.TESTED)):
            raise ValueError(f"steps compiled as a whole are not tested with torch {torch.__version__}")
        self.optimizer, self.whole = optimizer, whole
        self.trace: compiled.Trace | None = None
        for theta in thetas:
            theta.grad = torch.zeros_like(theta)  # it says that theta moves; what is computed is not written there

    @torch.no_grad()
    def __call__(self, *batch: torch.Tensor) -> None:
        """Take a step."""
        moves = _moves(self.optimizer)
        states = itertools.chain.from_iterable([move.state.values() for move in moves])
        tensors = [*(move.theta for move in moves), *states, *batch]
        if self.trace is None:
            self.trace = compiled.Trace(_apply, moves, tensors, self.whole)
        self.trace(moves, tensors)
