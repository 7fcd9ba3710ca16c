"""The parts that work with a rule, for PyTorch; with our ``Optimizer`` or any other.

::

    scheduler = Scheduler(optimizer, Cosine(lr=0.1, steps=1000))
    loss.backward()
    clip_(model.parameters(), ClipGlobalNorm(limit=1.0))
    optimizer.step()
    scheduler.step()
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from samestep.reference.arguments import WrongArgument, shown
from samestep.reference.checks import require, several
from samestep.reference.parts import Accumulation, Average, Clipping, Schedule, restore
from samestep.reference.parts.kinds import (
    require_accumulation,
    require_average,
    require_clipping,
    require_schedule,
)

from . import namespace
from .optimizer import dense

Gradients = Sequence[torch.Tensor | None]
TENSORS = "a list of tensors, None where there is none"


@torch.no_grad()
def clipped(clipping: Clipping, gradients: Gradients) -> list[torch.Tensor | None]:
    """New gradients, clipped, of the same shapes, dtypes and devices.

    None stays None; sparse gradients are made dense. Computed in float64 if one of them is
    float64, else in float32, on the first one's device, and rounded once to each dtype.
    """
    require_clipping(clipping)
    listed = several("gradients", gradients, torch.Tensor, TENSORS)
    given = [None if g is None else dense(g) for g in listed]
    dtypes = (g.dtype for g in given if g is not None)
    wide = functools.reduce(torch.promote_types, dtypes, torch.float32)
    device = next((g.device for g in given if g is not None), None)
    widened = [None if g is None else g.to(device, wide) for g in given]
    pairs = zip(given, clipping.clip(widened, namespace), strict=True)
    return [new if g is None or new is None else new.to(g) for g, new in pairs]


def clip_(parameters: torch.Tensor | Iterable[torch.Tensor], clipping: Clipping) -> None:
    """Clip the gradients of ``parameters`` in place, as torch.nn.utils' functions do.

    A parameter without a gradient is left alone.
    """
    require_clipping(clipping)
    given = _listed(parameters)
    gradients = clipped(clipping, [p.grad for p in given])
    for parameter, new in zip(given, gradients, strict=True):
        if new is not None and parameter.grad.layout is torch.strided:
            parameter.grad.copy_(new)
        elif new is not None:
            parameter.grad = new


class Scheduler(torch.optim.lr_scheduler.LRScheduler):
    """A schedule as a true torch scheduler.

    It sets every group's ``lr`` to the schedule's rate, whatever it was. ``schedule`` may be a
    list, one for each parameter group. Call ``step()`` after ``optimizer.step()``. The
    ``state_dict`` has plain values; loading one of another schedule raises ValueError.
    """

    def __init__(
        self, optimizer: Any, schedule: Schedule | Sequence[Schedule], last_epoch: int = -1
    ) -> None:
        require("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
        if isinstance(schedule, list | tuple):
            for each in schedule:
                require_schedule(each)
        else:
            require_schedule(schedule)
        groups = len(optimizer.param_groups)
        self.schedules = [schedule] * groups if isinstance(schedule, Schedule) else list(schedule)
        if len(self.schedules) != groups:
            raise ValueError(
                f"schedules must be one, or one for each of {groups} groups, "
                f"got {len(self.schedules)}"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates of the step that comes next."""
        return [schedule.rate(self.last_epoch + 1) for schedule in self.schedules]

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the schedules as dicts of plain values."""
        schedules = [schedule.to_dict() for schedule in self.schedules]
        return {**super().state_dict(), "schedules": schedules}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; it also sets the optimizer's rates to those of the step that comes next.

        Making a scheduler has set them to the first rates, even if the optimizer's state was
        loaded before. ValueError if the state was saved under other schedules.
        """
        theirs = [restore(plain) for plain in state_dict.get("schedules", [])]
        if theirs != self.schedules:
            raise ValueError(f"the saved state must belong to {self.schedules}, got {theirs}")
        super().load_state_dict({**state_dict, "schedules": self.schedules})
        self._last_lr = []
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], torch.Tensor):  # it may be known to a captured graph
                group["lr"].fill_(lr)
                self._last_lr.append(group["lr"].clone())
            else:
                group["lr"] = lr
                self._last_lr.append(lr)


def averaging(average: Average) -> Callable[[torch.Tensor, torch.Tensor, Any], torch.Tensor]:
    """The average as ``avg_fn`` of torch.optim.swa_utils.AveragedModel."""
    require_average(average)

    def average_function(averaged: torch.Tensor, theta: torch.Tensor, count: Any) -> torch.Tensor:
        return average.update([averaged], [theta], int(count) + 1)[0]

    return average_function


class Averages:
    """Averages of ``parameters``: call ``update()`` after each step and read ``averages``.

    Half precision is averaged in float32, so the averages of such parameters are float32.
    """

    def __init__(self, parameters: Iterable[torch.Tensor], average: Average) -> None:
        require_average(average)
        self.parameters = _listed(parameters)
        self.average = average
        self.count = 0
        self.averages: list[torch.Tensor] = []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now; the first time copies them."""
        self.count += 1
        now = [_wide(parameter.detach()) for parameter in self.parameters]
        self.averages = self.average.update(self.averages, now, self.count)


class Accumulator:
    """Collects gradients: ``add`` gives those to step with when they are due, else None.

    Half precision is summed in float32 and rounded once. A tensor that had no gradient keeps None.
    """

    def __init__(self, accumulation: Accumulation) -> None:
        require_accumulation(accumulation)
        self.accumulation = accumulation
        self.count = 0
        self.sums: list[torch.Tensor | None] = []
        self.dtypes: dict[int, torch.dtype] = {}

    @torch.no_grad()
    def add(self, gradients: Gradients) -> list[torch.Tensor | None] | None:
        """Take in one batch's gradients, in the same order and of the same dtypes each time."""
        gradients = several("gradients", gradients, torch.Tensor, TENSORS)
        self.count += 1
        self.dtypes |= {index: g.dtype for index, g in enumerate(gradients) if g is not None}
        wide = [None if g is None else _wide(dense(g)) for g in gradients]
        self.sums = self.accumulation.add(self.sums, wide) if self.sums else wide
        if not self.accumulation.due(self.count):
            return None
        finished = self.accumulation.finished(self.sums)
        self.sums = []
        return [None if g is None else g.to(self.dtypes[i]) for i, g in enumerate(finished)]


def _listed(parameters: Any) -> list[torch.Tensor]:
    """Parameters as a list: one tensor, or several; a model's must be given as parameters."""
    if isinstance(parameters, torch.Tensor):
        return [parameters]
    if isinstance(parameters, torch.nn.Module):
        due = "parameters must be tensors"
        raise WrongArgument(f"{due}, got {shown(parameters)}; write model.parameters()")
    return several("parameters", parameters, torch.Tensor, "tensors such as model.parameters()")


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, half precision as float32."""
    return tensor.to(torch.float32 if tensor.dtype.itemsize == 2 else tensor.dtype, copy=True)
