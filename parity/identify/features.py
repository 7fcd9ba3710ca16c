"""Features of the steps that an unknown optimizer takes on the probes.

They are measured before any rule is considered; hyperparameters are guessed from them.
"""

import dataclasses

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Decay

from .trials import CONSTANT_STEPS, LARGEST_WEIGHT, UNMOVED

SAME = 2.0**-20  # numbers this close (relative) are taken to be equal; the judge decides later
PROPORTIONAL = 0.1  # gradients below this share of ``half_gradient`` may have proportional steps
ALIKE = 2.0**-10  # the same for the distance of two elements, as a share of the path


@dataclasses.dataclass(frozen=True)
class Features:
    """What the first step shows; lengths are absolute values of steps of single elements.

    ``maximizes``: it follows the gradient instead of its negative. ``linear``: the length is
    proportional to the gradient. ``constant_length``: the length is the same for every gradient.
    ``slope``: length over gradient, at the smallest gradient. ``longest``: the length at the
    largest gradient. ``half_gradient``: the gradient whose step is half as long as the longest,
    0 if they are all as long.

    ``decays``: weights move without a gradient. ``unknown_decay``: they become NaN without one, so
    that nothing is known about ``decays``. ``shrink``: the share by which such weights shrink;
    None if it differs between weights. ``coupled_decay``: the weight decay that would explain it if
    it is added to the gradient, 0 if none would. ``dead_zone``: the largest gradient that moves
    nothing, 0 if every gradient moves something. ``relative_length``: the root mean square of a
    whole tensor's step over that of the tensor, without the shrinking.

    ``blend``: the ``beta1`` of the corrected running mean of gradients that the second step follows
    where steps are proportional to it.

    ``elementwise``: elements of a vector do not influence each other. ``shape_matters``: a
    matrix is not moved as the vector of its elements is. ``sizes`` and ``lengths``: gradients of
    all sizes, and how long a step each makes from zero.
    """

    maximizes: bool
    linear: bool
    constant_length: bool
    slope: float
    longest: float
    half_gradient: float
    decays: bool
    unknown_decay: bool
    shrink: float | None
    coupled_decay: float
    dead_zone: float
    relative_length: float
    blend: float
    elementwise: bool
    shape_matters: bool
    sizes: tuple[float, ...]
    lengths: tuple[float, ...]

    def allows_decay(self, decay: Decay) -> bool:
        """True if such a weight decay may be what moves weights without a gradient.

        A coupled decay shrinks all weights by one share only where steps are proportional to
        gradients as large as those that it adds. Any other always does.
        """
        if decay is not Decay.COUPLED:
            return self.shrink is not None
        if self.shrink is None or self.linear:
            return True
        largest = self.shrink / self.slope * LARGEST_WEIGHT if self.slope else np.inf
        return largest < PROPORTIONAL * self.half_gradient


def measure_features(trajectory: Trajectory, trial: Trial) -> Features:
    """The features of a trajectory on the probes, vectors included."""
    first_step = trajectory.thetas["zero"][0].astype(np.float64)
    gradients = trial.gradients["zero"][0]
    lengths = np.abs(first_step)
    sizes = np.abs(gradients)
    with np.errstate(all="ignore"):
        ratios = lengths / sizes
    longest = float(lengths[-1])
    constant = _all_equal(lengths)
    increasing = np.maximum.accumulate(np.nan_to_num(lengths))

    begin = trial.start["weights"][:UNMOVED]
    after = trajectory.thetas["weights"][:, :UNMOVED]
    shrink = _shrink(begin, after)
    moved = np.abs(begin - after[0].astype(np.float64))
    return Features(
        maximizes=float(np.nansum(np.sign(-first_step) * np.sign(gradients))) < 0,
        linear=_all_equal(ratios),
        constant_length=constant,
        slope=float(ratios[0]),
        longest=longest,
        half_gradient=0.0 if constant else float(np.interp(longest / 2, increasing, sizes)),
        decays=bool((np.isfinite(after) & (after != begin.astype(after.dtype))).any()),
        unknown_decay=not np.isfinite(after).any(),
        shrink=shrink,
        coupled_decay=_coupled_decay((np.abs(begin), moved), (sizes, lengths)),
        dead_zone=_dead_zone(sizes, lengths),
        relative_length=_relative_length(trial, trajectory, shrink or 0.0),
        blend=_blend(trajectory.thetas["zero"], trial.gradients["zero"]),
        elementwise=_moves_alike(trajectory, "part", "plain"),
        shape_matters=not _moves_alike(trajectory, "folded", "plain"),
        sizes=tuple(map(float, sizes)),
        lengths=tuple(map(float, lengths)),
    )


def _shrink(begin: np.ndarray, after: np.ndarray) -> float | None:
    """The share by which weights without a gradient shrink in the first step; None if it differs.

    ``begin`` (weights,) and ``after`` (steps, weights); the second half of the weights is read.
    """
    rounding = 4 * np.finfo(after.dtype).eps
    with np.errstate(all="ignore"):
        shares = (begin - after[0].astype(np.float64)) / begin
    middle = float(np.median(shares))
    near = np.abs(shares - middle) <= SAME * abs(middle) + rounding
    return middle if bool(near[UNMOVED // 2 :].all()) else None


def _moves_alike(trajectory: Trajectory, name: str, whole: str) -> bool:
    """True if the elements of a tensor move as the first ones of another do, in the first steps."""
    first = trajectory.thetas[name][:CONSTANT_STEPS]
    first = first.reshape(len(first), -1)
    second = trajectory.thetas[whole][:CONSTANT_STEPS].reshape(len(first), -1)
    second = second[:, : first.shape[1]]
    path = np.abs(np.diff(second.astype(np.float64), axis=0)).sum(axis=0)
    room = ALIKE * path + 4 * np.finfo(second.dtype).eps * np.abs(second).max(axis=0)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        return bool((same | (np.abs(first.astype(np.float64) - second) <= room)).all())


def _blend(thetas: np.ndarray, gradients: np.ndarray) -> float:
    """The beta1 for which the second step is (beta1 g1 + g2) / (1 + beta1), from 0 to 1.

    ``thetas`` and ``gradients`` (steps, elements); the median over the elements.
    """
    with np.errstate(all="ignore"):
        slopes = thetas[0].astype(np.float64) / gradients[0]
        second = (thetas[1].astype(np.float64) - thetas[0]) / slopes
        blends = (gradients[1] - second) / (second - gradients[0])
    blends = blends[np.isfinite(blends)]
    return float(np.clip(np.median(blends), 0.0, 1.0)) if len(blends) else 0.0


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
