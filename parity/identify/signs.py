"""Rules that step by a sign: Rprop and Lion.

Their steps are not smooth functions of the hyperparameters, so nothing can be fitted. The
hyperparameters are read off the steps.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Lion, Rprop, Rule

from .decimals import round_value
from .family import Numbers
from .features import Features
from .observe import Observation
from .trials import sign_thresholds

POINTS = 400  # thresholds that are tried at once
ROUNDS = 4  # how often the bracket of a threshold is narrowed
WIDEST_BRACKET = (1e-9, 1e6)

RunTrial = Callable[[Trial], Trajectory]


def propose_signs(observation: Observation, features: Features, run: RunTrial) -> Iterator[Rule]:
    """Rprop and Lion with the hyperparameters that the steps show, from coarse to fine decimals.

    ``run`` runs the optimizer on another trial.
    """
    if not features.constant_length:
        return
    numbers = _read_rprop(observation, features)
    if numbers:
        yield from _rounded(Rprop, numbers, features.maximizes)
    betas = _read_betas(features.maximizes, run)
    if betas:
        decay = (features.shrink or 0.0) / features.longest
        numbers = {"lr": features.longest, "weight_decay": decay, **betas}
        yield from _rounded(Lion, numbers, features.maximizes)


def _rounded(kind: type[Rule], numbers: Numbers, maximize: bool) -> Iterator[Rule]:
    """The rule with these numbers as decimals. Values that it does not allow are left out."""
    for digits in range(3, 13):
        accuracy = 10.0**-digits
        values: dict[str, Any] = {
            name: round_value(name, value, accuracy) for name, value in numbers.items()
        }
        try:
            yield kind(**values, maximize=maximize)
        except ValueError:
            continue


def _read_rprop(observation: Observation, features: Features) -> Numbers:
    """Rprop's numbers; empty if the steps are none of Rprop's.

    A step grows by ``rise`` where the gradient keeps its sign, and shrinks by ``fall`` where it
    changes. The bounds of step sizes hide that in some steps, so the largest ratio is taken for
    ``rise`` and the smallest for ``fall``.
    """
    thetas = observation.trajectory.thetas["zero"].astype(np.float64)
    signs = np.sign(observation.trial.gradients["zero"])
    moves = np.diff(thetas, axis=0, prepend=0.0)
    lengths = np.abs(moves)
    unchanged = (moves[1:] * moves[:-1] > 0) & (signs[1:] == signs[:-1])
    changed = (lengths[1:-1] == 0) & (lengths[:-2] > 0) & (lengths[2:] > 0)
    if not unchanged.any() or not changed.any():
        return {}
    rise = float((lengths[1:][unchanged] / lengths[:-1][unchanged]).max())
    fall = float((lengths[2:][changed] / lengths[:-2][changed]).min())
    if not (rise > 1 and 0 < fall < 1):
        return {}
    moved = lengths[lengths > 0]
    return {
        "lr": features.longest,
        "rise": rise,
        "fall": fall,
        "smallest": float(moved.min()),
        "largest": float(moved.max()),
    }


class _Bracket(NamedTuple):
    """An interval in which a threshold lies."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Its middle on a logarithmic scale."""
        return float(np.sqrt(self.low * self.high))

    def points(self) -> np.ndarray:
        """Candidates for the threshold, (POINTS,)."""
        return np.geomspace(self.low, self.high, POINTS)


def _read_betas(maximizes: bool, run: RunTrial) -> Numbers:
    """Lion's betas; empty if the steps are none of Lion's.

    After a gradient of 1 the step changes its sign at step 2 if the gradient there is less than
    -beta1 (1 - beta2) / (1 - beta1); and at step 3, after a gradient of zero, if it is less than
    beta2 times that. Where the sign always changes, the past makes no difference: beta1 is 0.
    """
    second = third = _Bracket(*WIDEST_BRACKET)
    for _ in range(ROUNDS):
        trial = sign_thresholds(second.points(), third.points())
        thetas = run(trial).thetas["threshold"].astype(np.float64)
        moves = np.diff(thetas, axis=0) * (-1 if maximizes else 1)
        second_changed = moves[0, :POINTS] > 0
        third_changed = moves[1, POINTS:] > 0
        if second_changed.all() and third_changed.all():
            return {"beta1": 0.0, "beta2": Lion().beta2}
        if not (_has_one_edge(second_changed) and _has_one_edge(third_changed)):
            return {}
        second = _narrowed(second, second_changed)
        third = _narrowed(third, third_changed)
    beta2 = third.middle / second.middle
    return {"beta1": second.middle / (second.middle + 1 - beta2), "beta2": beta2}


def _has_one_edge(changed: np.ndarray) -> bool:
    return bool(changed[-1] and not changed[0])


def _narrowed(bracket: _Bracket, changed: np.ndarray) -> _Bracket:
    """The interval between the last point without a change of sign and the first with one."""
    first = int(np.argmax(changed))
    points = bracket.points()
    return _Bracket(float(points[first - 1]), float(points[first]))
