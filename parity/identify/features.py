"""What kind of step a black box takes: seen from the first steps of the probes, before any rule is thought of."""

from typing import NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial

from . import probes

ALIKE = 2.0**-20  # ratios as near as this are taken for one number: a proposal, which the court judges


class Features(NamedTuple):
    """Of the first step, by the size of the gradient: ``slope`` where it is smallest, ``top`` where it is largest,
    ``half`` the gradient at which the step is half of ``top``.

    ``uphill``: it climbs. ``linear``: proportional to the gradient. ``signed``: of one length for every gradient.
    ``shrink`` is the share by which weights shrink that get gradients of zero, None where it is not one for all;
    ``moved`` says whether they move at all; ``coupling`` is the gradient, over the weight, that would move them so.
    ``dead`` is the largest gradient that moves nothing, 0 if each does; ``pace`` the share of its own
    size that a whole tensor moves, beside shrinking.
    """

    uphill: bool
    linear: bool
    signed: bool
    slope: float
    top: float
    half: float
    moved: bool
    shrink: float | None
    coupling: float
    dead: float
    pace: float


def of(trajectory: Trajectory, trial: Trial) -> Features:
    """The features of an trajectory of the probes with their flat tensors."""
    first = trajectory.thetas["zero"][0].astype(np.float64)
    gradient = trial.gradients["zero"][0]
    length, size = np.abs(first), np.abs(gradient)
    down = np.nanmedian(np.sign(-first) * np.sign(gradient))
    with np.errstate(all="ignore"):
        ratio = length / size
    top, slope = float(length[-1]), float(ratio[0])
    half = float(np.interp(top / 2, np.maximum.accumulate(np.nan_to_num(length)), size))
    count = probes.still()
    begin, after = trial.start["weights"][:count], trajectory.thetas["weights"][:, :count].astype(np.float64)
    shares = (begin - after[0]) / begin
    moved = not np.array_equal(after, np.broadcast_to(begin.astype(trajectory.thetas["weights"].dtype), after.shape))
    shrink = float(np.median(shares)) if _one(shares[count // 2 :]) else None
    coupling = _coupling(np.abs(begin), np.abs(begin - after[0]), length, size)
    start = trial.start["plain"]
    step = start - trajectory.thetas["plain"][0] - (shrink or 0.0) * start
    pace = float(np.sqrt(np.mean(step**2) / np.mean(start**2)))
    return Features(
        bool(down < 0), _one(ratio), _one(length), slope, top, half, moved, shrink, coupling, _dead(length, size), pace,
    )  # fmt: skip


def _coupling(weights: np.ndarray, steps: np.ndarray, length: np.ndarray, size: np.ndarray) -> float:
    """The share of a weight that, as a gradient, makes as long a step; 0 where none does. Told where steps have half
    their greatest length, or are proportional to the gradient throughout."""
    if not (np.isfinite(steps).all() and np.isfinite(length).all() and (steps > 0).all() and (length > 0).all()):
        return 0.0
    goal = np.log(min(steps.max(), length.max()) / 2)
    ours, theirs = (
        np.interp(goal, np.maximum.accumulate(np.log(of)), np.log(by)) for of, by in ((length, size), (steps, weights))
    )
    return float(np.exp(ours - theirs))


def _dead(length: np.ndarray, size: np.ndarray) -> float:
    """Where the first two steps beyond it, on one line, come to nothing: a fit that starts from the edge of what moves
    cannot leave it."""
    moves = np.flatnonzero(length > 0)
    if len(moves) < 2 or not moves[0]:
        return 0.0
    (less, more), (near, far) = length[moves[:2]], size[moves[:2]]
    edge = near - less * (far - near) / (more - less) if more > less else near
    return float(np.clip(edge, size[moves[0] - 1], near))


def _one(values: np.ndarray) -> bool:
    """Whether they are one number, to within a proposal's accuracy."""
    middle = np.median(values)
    return bool(np.isfinite(values).all() and (np.abs(values - middle) <= ALIKE * np.abs(middle)).all())
