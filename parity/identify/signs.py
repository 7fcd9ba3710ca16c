"""Rules that step by a sign: their numbers are read off the steps themselves, since nothing there is smooth."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Lion, Rprop, Rule

from . import probes
from .decimals import shortest
from .features import Features
from .fit import UNIT

POINTS = 400  # thresholds that are tried at once
ROUNDS = 4  # how often the bracket of a threshold is narrowed
Ask = Callable[[Trial], Trajectory]


def proposals(trajectory: Trajectory, trial: Trial, seen: Features, ask: Ask) -> Iterator[Rule]:
    """Rprop and Lion as they would have to be; ``ask`` gives the box another trial."""
    if not seen.signed:
        return
    yield from _rprop(trajectory, trial, seen)
    yield from _lion(seen, ask)


def _rprop(trajectory: Trajectory, trial: Trial, seen: Features) -> Iterator[Rule]:
    """The most that a step grows by where the gradient keeps its sign, the least that it shrinks by where it turns:
    bounds hide the rest."""
    thetas = trajectory.thetas["zero"].astype(np.float64)
    moves = np.diff(thetas, axis=0, prepend=0.0)
    lengths, first = np.abs(moves), seen.top
    kept = (moves[1:] * moves[:-1] > 0) & (
        np.sign(trial.gradients["zero"][1:]) == np.sign(trial.gradients["zero"][:-1])
    )
    turned = (lengths[1:-1] == 0) & (lengths[:-2] > 0) & (lengths[2:] > 0)
    if not kept.any() or not turned.any():
        return
    rise = float((lengths[1:][kept] / lengths[:-1][kept]).max())
    fall = float((lengths[2:][turned] / lengths[:-2][turned]).min())
    if not (rise > 1 and 0 < fall < 1):
        return
    moved = lengths[lengths > 0]
    for digits in range(3, 13):
        room = 10.0**-digits
        numbers = {
            "lr": first, "rise": rise, "fall": fall, "smallest": float(moved.min()), "largest": float(moved.max()),
        }  # fmt: skip
        short: dict[str, Any] = {name: shortest(value, room * value) for name, value in numbers.items()}
        yield from _possible(Rprop, **short, maximize=seen.uphill)


def _lion(seen: Features, ask: Ask) -> Iterator[Rule]:
    betas = _betas(seen.uphill, ask)
    if not betas:
        return
    shrink = seen.shrink or 0.0
    numbers = {"lr": seen.top, "weight_decay": shrink / seen.top, "beta1": betas[0], "beta2": betas[1]}
    for digits in range(3, 10):
        room = 10.0**-digits
        short: dict[str, Any] = {
            name: shortest(value, room * (min(value, 1 - value) if name in UNIT else value)) if value else 0.0
            for name, value in numbers.items()
        }
        yield from _possible(Lion, **short, maximize=seen.uphill)


def _betas(uphill: bool, ask: Ask) -> tuple[float, float] | None:
    """After a gradient of one the step turns at step 2 where the next is beta1 (1 - beta2) / (1 - beta1) against it,
    and at step 3, after nothing, where it is beta2 times that. Where it turns always, the past makes no difference."""
    early = late = (1e-9, 1e6)
    for _ in range(ROUNDS):
        tried = [np.geomspace(*bracket, POINTS) for bracket in (early, late)]
        went = ask(probes.turning(tried)).thetas["turning"].astype(np.float64)
        down = np.diff(went, axis=0) * (-1 if uphill else 1)  # against what came first
        turned = [down[0, :POINTS] > 0, down[1, POINTS:] > 0]
        if all(side.all() for side in turned):
            return 0.0, Lion().beta2
        if not all(side[-1] and not side[0] for side in turned):
            return None
        early, late = (
            (points[np.argmax(side) - 1], points[np.argmax(side)]) for points, side in zip(tried, turned, strict=True)
        )
    threshold, after = (float(np.sqrt(low * high)) for low, high in (early, late))
    beta2 = after / threshold
    return threshold / (threshold + 1 - beta2), beta2


def _possible(kind: type[Rule], **told: Any) -> Iterator[Rule]:
    """The rule, unless there is none with such hyperparameters: what is read off a stranger's steps may be anything."""
    try:
        yield kind(**told)
    except ValueError:
        return
