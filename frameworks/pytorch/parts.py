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
from samestep.reference.parts import (
    Accumulating,
    Average,
    Averaging,
    Clipping,
    LossScaling,
    Mode,
    Plateau,
    PlateauWatch,
    Schedule,
    ThresholdMode,
    restore,
)
from samestep.reference.parts.kinds import (
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
        self._last_lr = [
            _set_rate(group, lr)
            for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True)
        ]


class PlateauScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau):
    """A plateau as a true torch scheduler: call ``step(value)`` after each epoch.

    It lowers every group's ``lr`` by the plateau's own arithmetic. Training loops that know
    ``ReduceLROnPlateau`` know it. The ``state_dict`` has plain values; the rates themselves are in
    that of the optimizer.
    """

    last_epoch: int

    def __init__(self, optimizer: Any, plateau: Plateau) -> None:
        require("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
        self.watch = PlateauWatch(plateau)
        super().__init__(
            optimizer,
            mode="min" if plateau.mode is Mode.MIN else "max",
            factor=plateau.factor,
            patience=plateau.patience,
            threshold=plateau.threshold,
            threshold_mode="rel" if plateau.threshold_mode is ThresholdMode.REL else "abs",
            cooldown=plateau.cooldown,
            min_lr=plateau.min_lr,
            eps=plateau.least_change,
        )

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Take in the value of the epoch that has ended, a number or a tensor with one element."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        falls = self.watch.falls(metrics)
        groups = self.optimizer.param_groups
        if falls:
            for group in groups:
                _set_rate(group, self.watch.plateau.lowered(float(group["lr"])))
        self._show_state()
        self._last_lr = [group["lr"] for group in groups]

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.watch.state_dict(), "last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; ValueError if it was saved under another plateau."""
        self.watch.load_state_dict(state_dict)
        self.last_epoch = state_dict["last_epoch"]
        self._show_state()

    def _show_state(self) -> None:
        """Copy the state to where torch has it."""
        self.best, self.num_bad_epochs, self.cooldown_counter = self.watch.state


def _set_rate(group: dict[str, Any], lr: float) -> Any:
    """Set the group's rate; gives what a scheduler stores as the last rate."""
    if isinstance(group["lr"], torch.Tensor):  # it may be known to a captured graph
        group["lr"].fill_(lr)
        return group["lr"].clone()
    group["lr"] = lr
    return lr


def averaging(average: Average) -> Callable[[torch.Tensor, torch.Tensor, Any], torch.Tensor]:
    """The average as ``avg_fn`` of torch.optim.swa_utils.AveragedModel."""
    require_average(average)

    def average_function(averaged: torch.Tensor, theta: torch.Tensor, count: Any) -> torch.Tensor:
        return average.update([averaged], [theta], int(count) + 1)[0]

    return average_function


class LossScaler(LossScaling):
    """Scales losses: ``(scaler.scale * loss).backward()``, and then ``unscale_``.

    ::

        if scaler.unscale_(model.parameters()):
            clip_(model.parameters(), ClipGlobalNorm(limit=1.0))
            optimizer.step()
        if scaler.schedule_moves:
            scheduler.step()
    """

    @torch.no_grad()
    def unscale_(self, parameters: torch.Tensor | Iterable[torch.Tensor]) -> bool:
        """Unscale the gradients of ``parameters`` in place; False if the step is to be skipped.

        Call it once a step, with all parameters, before clipping.
        """
        given = _listed(parameters)
        gradients = self.unscaled([parameter.grad for parameter in given])
        for parameter, gradient in zip(given, gradients or [], strict=gradients is not None):
            if gradient is not None:
                parameter.grad = gradient
        return gradients is not None

    def _finite(self, gradient: torch.Tensor) -> bool:
        return bool(torch.isfinite(dense(gradient)).all())

    def _times(self, gradient: torch.Tensor, factor: float) -> torch.Tensor:
        return (factor * _wide(dense(gradient.detach()))).to(gradient.dtype)


class Averages(Averaging):
    """Averages of ``parameters``: call ``update()`` after each step and read ``averages``.

    Half precision is averaged in float32, so the averages of such parameters are float32. A state
    of ``state_dict()`` goes on exactly; it loads without pickle.
    """

    def __init__(self, parameters: Iterable[torch.Tensor], average: Average) -> None:
        super().__init__(_listed(parameters), average)

    def _wide(self, parameter: torch.Tensor) -> torch.Tensor:
        return _wide(parameter.detach())


class Accumulator(Accumulating):
    """Collects gradients: ``add`` gives those to step with when they are due, else None.

    After the last batch call ``finish()``, which gives those of an incomplete window. Half
    precision is summed in float32 and rounded once. A tensor that had no gradient keeps None.
    """

    kinds = torch.Tensor
    due = TENSORS

    def _wide(self, gradient: torch.Tensor) -> torch.Tensor:
        return _wide(dense(gradient.detach()))

    def _narrow(self, gradient: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return gradient.to(dtype)

    def _dtype(self, name: str) -> torch.dtype:
        return getattr(torch, name)


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
