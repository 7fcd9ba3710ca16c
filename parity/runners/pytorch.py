"""A live PyTorch optimizer: a native, our adapter, or a user's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import samestep.frameworks.pytorch
from samestep.frameworks.pytorch import native
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import Trial
from samestep.reference import Rule
from samestep.reference.dialects import pytorch as dialect
from samestep.reference.dialects.pytorch import DECOUPLES, PAIRS

from .contestants import RULES, Contestant


def maker(contestant: Contestant) -> Callable[[Any], torch.optim.Optimizer]:
    """What builds the optimizer of a native or an adapter, given parameters."""
    if contestant.kind == "native":
        assert contestant.call
        call, mode = contestant.call, contestant.mode
        return lambda parameters: native.optimizer(parameters, call, mode)
    assert contestant.rule
    rule = contestant.rule
    return lambda parameters: samestep.frameworks.pytorch.Optimizer(parameters, rule)


def run(make: Callable[[Any], Any], trial: Trial, dtype: str, mode: str = "") -> tuple[Trajectory, Rule | None]:
    """Where the optimizer goes in ``dtype``, and the rule that its class and groups say it follows, if they do."""
    torch.set_num_threads(1)  # the first two-threaded root of a process was seen wrong
    wide = getattr(torch, dtype)
    parameters = [torch.nn.Parameter(torch.tensor(array, dtype=wide)) for array in trial.start.values()]
    optimizer = make(parameters)
    claimed, rates = claim(optimizer), [float(group["lr"]) for group in optimizer.param_groups]
    recorder = TrajectoryRecorder(trial, [parameter.detach().numpy() for parameter in parameters])
    for step in range(trial.steps):
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = trial.rate(lr, step)
        for parameter, gradient in zip(parameters, trial.at(step, dtype), strict=True):
            parameter.grad = None if gradient is None else torch.tensor(gradient)
        optimizer.step()
        recorder.add([parameter.detach().numpy() for parameter in parameters], states(optimizer, parameters))
    return recorder.trajectory(), claimed


def states(optimizer: Any, parameters: list[Any]) -> list[dict[str, np.ndarray]]:
    """What is kept for each parameter, under our names where they are known."""
    ours = {theirs: name for name, theirs in _names(optimizer).items()}
    return [
        {ours.get(k, k): v.detach().numpy() for k, v in optimizer.state[p].items() if _kept(k, v)} for p in parameters
    ]


def claim(optimizer: Any) -> Rule | None:
    """The rule that an optimizer says it follows: by its class, or the nearest above it, and its first group."""
    group = optimizer.param_groups[0]
    if isinstance(optimizer, samestep.frameworks.pytorch.Optimizer):
        kind = RULES[group["rule"]]
        return kind(**{name: group[name] for name in kind.names()})
    name = _native(optimizer)
    if not name:
        return None
    table = dialect.natives[name]
    pairs = [pair for pair, names in PAIRS.items() if names[0] in table.arguments]
    known = {*table.arguments, *pairs, *(["decoupled_weight_decay"] * (name in DECOUPLES))}
    try:
        return dialect.read(name, **{k: _plain(v) for k, v in group.items() if k in known})
    except ValueError:
        return None


def _native(optimizer: Any) -> str:
    """The name of torch's own class that the optimizer is an instance of, if there is one that the dialect knows."""
    above = (kind.__name__ for kind in type(optimizer).__mro__ if kind.__module__.startswith("torch.optim."))
    return next((name for name in above if name in dialect.natives), "")


def _names(optimizer: Any) -> dict[str, str]:
    name = _native(optimizer)
    return dict(dialect.natives[name].state) if name else {}


def _kept(key: str, value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and key != "step"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
