"""Features of the steps that an unknown optimizer takes on the probes.

They are measured before any rule is considered; hyperparameters are guessed from them.
"""

import dataclasses

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial

from .trials import UNMOVED

SAME = 2.0**-20  # numbers this close (relative) are taken to be equal; the judge decides later


@dataclasses.dataclass(frozen=True)
class Features:
    """What the first step shows; lengths are absolute values of steps of single elements.

    ``maximizes``: it follows the gradient instead of its negative. ``linear``: the length is
    proportional to the gradient. ``constant_length``: the length is the same for every gradient.
    ``slope``: length over gradient, at the smallest gradient. ``longest``: the length at the
    largest gradient. ``half_gradient``: the gradient whose step is half as long as the longest.

    ``decays``: weights move without a gradient. ``shrink``: the share by which such weights shrink;
    None if it differs between weights. ``coupled_decay``: the weight decay that would explain it if
    it is added to the gradient, 0 if none would. ``dead_zone``: the largest gradient that moves
    nothing, 0 if every gradient moves something. ``relative_length``: the root mean square of a
    whole tensor's step over that of the tensor, without the shrinking.
    """

    maximizes: bool
    linear: bool
    constant_length: bool
    slope: float
    longest: float
    half_gradient: float
    decays: bool
    shrink: float | None
    coupled_decay: float
    dead_zone: float
    relative_length: float


def measure_features(trajectory: Trajectory, trial: Trial) -> Features:
    """The features of a trajectory on the probes, vectors included."""
    first_step = trajectory.thetas["zero"][0].astype(np.float64)
    gradients = trial.gradients["zero"][0]
    lengths = np.abs(first_step)
    sizes = np.abs(gradients)
    with np.errstate(all="ignore"):
        ratios = lengths / sizes
    longest = float(lengths[-1])
    increasing = np.maximum.accumulate(np.nan_to_num(lengths))

    begin = trial.start["weights"][:UNMOVED]
    unmoved = trajectory.thetas["weights"][:, :UNMOVED]
    after = unmoved.astype(np.float64)
    shares = (begin - after[0]) / begin
    shrink = float(np.median(shares)) if _all_equal(shares[UNMOVED // 2 :]) else None
    return Features(
        maximizes=bool(np.nanmedian(np.sign(-first_step) * np.sign(gradients)) < 0),
        linear=_all_equal(ratios),
        constant_length=_all_equal(lengths),
        slope=float(ratios[0]),
        longest=longest,
        half_gradient=float(np.interp(longest / 2, increasing, sizes)),
        decays=not np.array_equal(after, np.broadcast_to(begin.astype(unmoved.dtype), after.shape)),
        shrink=shrink,
        coupled_decay=_coupled_decay((np.abs(begin), np.abs(begin - after[0])), (sizes, lengths)),
        dead_zone=_dead_zone(sizes, lengths),
        relative_length=_relative_length(trial, trajectory, shrink or 0.0),
    )


def _relative_length(trial: Trial, trajectory: Trajectory, shrink: float) -> float:
    start = trial.start["plain"]
    step = start - trajectory.thetas["plain"][0] - shrink * start
    return float(np.sqrt(np.mean(step**2) / np.mean(start**2)))


def _coupled_decay(
    by_weight: tuple[np.ndarray, np.ndarray], by_gradient: tuple[np.ndarray, np.ndarray]
) -> float:
    """The gradient over the weight that makes an equally long step; 0 where none does.

    The arguments are sizes and the lengths of their steps: of weights without a gradient, and of
    gradients without a weight. Compared where steps have half their greatest length.
    """
    for _, lengths in (by_weight, by_gradient):
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            return 0.0
    goal = np.log(min(by_weight[1].max(), by_gradient[1].max()) / 2)
    log_weight = _size_at(goal, *by_weight)
    log_gradient = _size_at(goal, *by_gradient)
    return float(np.exp(log_gradient - log_weight))


def _size_at(log_length: float, sizes: np.ndarray, lengths: np.ndarray) -> float:
    """The logarithm of the size at which a step has this length."""
    increasing = np.maximum.accumulate(np.log(lengths))
    return float(np.interp(log_length, increasing, np.log(sizes)))


def _dead_zone(sizes: np.ndarray, lengths: np.ndarray) -> float:
    """The gradient at which a line through the first two steps beyond the dead zone reaches zero.

    A fit that starts from the first gradient that moves something cannot leave it.
    """
    moving = np.flatnonzero(lengths > 0)
    if len(moving) < 2 or not moving[0]:
        return 0.0
    first, second = moving[:2]
    edge = sizes[first]
    if lengths[second] > lengths[first]:
        rise = lengths[second] - lengths[first]
        edge -= lengths[first] * (sizes[second] - sizes[first]) / rise
    return float(np.clip(edge, sizes[first - 1], sizes[first]))


def _all_equal(values: np.ndarray) -> bool:
    """True if all values are the same number, to within ``SAME``."""
    middle = np.median(values)
    near = np.abs(values - middle) <= SAME * np.abs(middle)
    return bool(np.isfinite(values).all() and near.all())
