"""Rules that step by a sign: Rprop and Lion.

Their steps are not smooth functions of the hyperparameters, so nothing can be fitted. The
hyperparameters are read off the steps.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Decay, Lion, Rprop, Rule

from .decimals import round_value
from .family import Numbers, choices_of
from .features import Features
from .observe import Observation
from .trials import pull_thresholds, sign_thresholds

POINTS = 400  # thresholds that are tried at once
ROUNDS = 4  # how often the bracket of a threshold is narrowed
WIDEST_BRACKET = (1e-9, 1e6)
ROUNDING = 8  # units in the last place that a step may be off, where it is read off two positions
SAME_RATIO = 1e-6  # ratios of lengths this close (relative) are taken to be equal

# gradients beside a threshold, as factors of it
BESIDE = 1 + np.concatenate([-(10.0 ** -np.arange(1, 8)), 10.0 ** -np.arange(1, 8)])

RunTrial = Callable[[Trial], Trajectory]


@dataclasses.dataclass(frozen=True)
class SignSteps:
    """What the steps of a rule that steps by a sign have shown so far.

    ``observations`` are those in the widest dtype, the probes first. ``run`` runs the optimizer on
    another trial.
    """

    observations: Sequence[Observation]
    features: Features
    run: RunTrial


class _Pull(NamedTuple):
    """A weight decay, and what it means."""

    weight_decay: float
    decay: Decay

    @property
    def coupled(self) -> float:
        """What is added to the gradient, as a multiple of theta."""
        return self.weight_decay if self.decay is Decay.COUPLED else 0.0


def propose_signs(steps: SignSteps) -> Iterator[Rule]:
    """Rprop and Lion with the hyperparameters that the steps show, from coarse to fine decimals."""
    features = steps.features
    if not features.constant_length or not features.longest:
        return
    for kind, read in ((Rprop, _read_rprop), (Lion, _read_lion)):
        for pull in _pulls(kind, steps):
            for numbers in read(steps, pull):
                yield from _rounded(kind, {**numbers, **_fields_of(pull)}, features.maximizes)


def _fields_of(pull: _Pull) -> dict[str, Any]:
    return pull._asdict() if pull.weight_decay else {}


def _pulls(kind: type[Rule], steps: SignSteps) -> list[_Pull]:
    """The weight decays that may be what moves weights without a gradient."""
    choices = choices_of(kind, "decay")
    features = steps.features
    if not features.decays:
        return [_Pull(0.0, choices[0])]
    if features.shrink is None:
        return [_Pull(_read_coupled_decay(steps), Decay.COUPLED)]
    return [
        _Pull(features.shrink / _first_rate(steps, choice), choice)
        for choice in choices
        if choice is not Decay.COUPLED
    ]


def _first_rate(steps: SignSteps, decay: Decay) -> float:
    """The length of the first step, before a late decay has shrunk it with the weights."""
    late = (steps.features.shrink or 0.0) if decay is Decay.AFTER else 0.0
    return steps.features.longest / (1 - late)


def _rounded(kind: type[Rule], numbers: dict[str, Any], maximize: bool) -> Iterator[Rule]:
    """The rule with these numbers as decimals. Values that it does not allow are left out."""
    for digits in range(3, 13):
        accuracy = 10.0**-digits
        values: dict[str, Any] = {
            name: round_value(name, value, accuracy) if isinstance(value, float) else value
            for name, value in numbers.items()
        }
        try:
            yield kind(**values, maximize=maximize)
        except ValueError:
            continue


def _read_rprop(steps: SignSteps, pull: _Pull) -> Iterator[Numbers]:
    """Rprop's numbers; nothing if the steps are none of Rprop's.

    A step grows by ``rise`` where the gradient keeps its sign, and shrinks by ``fall`` where it
    changes. The bounds of step sizes hide that in some steps, so the largest ratio is taken for
    ``rise`` and the smallest for ``fall``. No step may have reached a bound.
    """
    probes = steps.observations[0]
    moves = _moves(probes, "zero", steps, pull)
    signs = _signs(probes, "zero", steps, pull)
    lengths = np.abs(moves)
    unchanged = (moves[1:] * moves[:-1] > 0) & (signs[1:] == signs[:-1])
    changed = (lengths[1:-1] == 0) & (lengths[:-2] > 0) & (lengths[2:] > 0)
    if not unchanged.any() or not changed.any():
        return
    rise = _largest_ratio(lengths[:-1][unchanged], lengths[1:][unchanged])
    fall = 1 / _largest_ratio(lengths[2:][changed], lengths[:-2][changed])
    if not (rise > 1 and 0 < fall < 1):
        return
    moved = _all_lengths(steps, pull)
    numbers = {"lr": _first_rate(steps, pull.decay), "rise": rise, "fall": fall}
    smallest = (float(moved.min()), 0.0)
    largest = (float(moved.max()), max(Rprop().largest, 2 * float(moved.max())))
    for low, high in itertools.product(smallest, largest):
        yield {**numbers, "smallest": low, "largest": high}


def _largest_ratio(before: np.ndarray, after: np.ndarray) -> float:
    """The largest ratio after / before, from the longest steps that have it: rounding is least."""
    ratios = after / before
    equal = ratios >= ratios.max() * (1 - SAME_RATIO)
    return float(ratios[equal][np.argmax(before[equal])])


def _all_lengths(steps: SignSteps, pull: _Pull) -> np.ndarray:
    """The lengths of all steps of all tensors that are not zero, (steps,)."""
    lengths = []
    for observation in steps.observations:
        for name in observation.trial.start:
            moves = np.abs(_moves(observation, name, steps, pull))
            lengths.append(moves[moves > 0])
    return np.concatenate(lengths)


def _positions(observation: Observation, name: str) -> np.ndarray:
    """A tensor's elements before the first step and after each, (steps + 1, elements)."""
    trajectory = observation.trajectory
    thetas = np.concatenate([trajectory.begin[name][None], trajectory.thetas[name]])
    return thetas.astype(np.float64).reshape(len(thetas), -1)


def _moves(observation: Observation, name: str, steps: SignSteps, pull: _Pull) -> np.ndarray:
    """The steps of a tensor's elements without the weight decay, (steps, elements)."""
    thetas = _positions(observation, name)
    before, after = thetas[:-1], thetas[1:]
    shrink = np.zeros((len(after), 1))
    if pull.decay is not Decay.COUPLED:
        shrink[:, 0] = (steps.features.shrink or 0.0) * observation.trial.rate_factors
    if pull.decay is Decay.AFTER:
        moves = after / (1 - shrink) - before
    else:
        moves = after - before * (1 - shrink)
    unit = np.finfo(observation.dtype).eps * np.maximum(np.abs(before), np.abs(after))
    return np.where(np.abs(moves) <= ROUNDING * unit, 0.0, moves)


def _signs(observation: Observation, name: str, steps: SignSteps, pull: _Pull) -> np.ndarray:
    """The signs of what the rule descends, (steps, elements)."""
    gradients = observation.trial.gradients[name]
    gradients = gradients.reshape(len(gradients), -1) * (-1 if steps.features.maximizes else 1)
    return np.sign(gradients + pull.coupled * _positions(observation, name)[:-1])


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


def _read_coupled_decay(steps: SignSteps) -> float:
    """The weight decay that is added to gradients: at a weight of 1, the gradient that undoes it.

    0 if there is none.
    """
    direction = -1 if steps.features.maximizes else 1
    bracket = _Bracket(*WIDEST_BRACKET)
    for _ in range(ROUNDS):
        trial = pull_thresholds(bracket.points() * direction)
        thetas = steps.run(trial).thetas["threshold"].astype(np.float64)
        changed = thetas[0] > 1
        if not _has_one_edge(changed):
            return 0.0
        bracket = _narrowed(bracket, changed)
    return bracket.middle


def _read_lion(steps: SignSteps, pull: _Pull) -> Iterator[Numbers]:
    """Lion's numbers; nothing if the steps are none of Lion's.

    After a gradient of 1 the step changes its sign at step 2 if the gradient there is less than
    -beta1 (1 - beta2) / (1 - beta1); and at step 3, after a gradient of zero, if it is less than
    beta2 times that. Where the sign always changes, the past makes no difference: beta1 is 0.
    A weight decay that joins the gradient adds the weights that the first steps have made, -lr at
    step 2 and -2 lr at step 3.
    """
    lr = _first_rate(steps, pull.decay)
    added = pull.coupled * lr
    second = third = _Bracket(*WIDEST_BRACKET)
    for _ in range(ROUNDS):
        trial = sign_thresholds(second.points(), third.points())
        thetas = steps.run(trial).thetas["threshold"].astype(np.float64)
        moves = np.diff(thetas, axis=0) * (-1 if steps.features.maximizes else 1)
        second_changed = moves[0, :POINTS] > 0
        third_changed = moves[1, POINTS:] > 0
        if second_changed.all() and third_changed.all():
            yield {"lr": lr, "beta1": 0.0, "beta2": Lion().beta2}
            return
        if not _has_one_edge(second_changed):
            return
        second = _narrowed(second, second_changed)
        if _has_one_edge(third_changed):
            third = _narrowed(third, third_changed)
        elif not third_changed.all():
            return
    first_part = second.middle + added
    beta2 = 0.0 if third_changed.all() else (third.middle + 2 * added) / first_part + added
    yield {"lr": lr, "beta1": first_part / (first_part + 1 - beta2), "beta2": beta2}


def edges(rule: Rule) -> Trial | None:
    """A trial with gradients on both sides of those at which the steps of Lion change their sign.

    Other gradients tell its numbers but roughly. None if the rule is not Lion, or if its past makes
    no difference.
    """
    if not isinstance(rule, Lion) or not 0 < rule.beta1 < 1:
        return None
    added = rule.lr * rule.weight_decay if rule.decay is Decay.COUPLED else 0.0
    first_part = rule.beta1 * (1 - rule.beta2) / (1 - rule.beta1)
    second = first_part - added
    third = (rule.beta2 - added) * first_part - 2 * added
    groups = [threshold * BESIDE for threshold in (second, third) if threshold > 0]
    return sign_thresholds(groups[0], groups[-1]) if groups else None


def _has_one_edge(changed: np.ndarray) -> bool:
    return bool(changed[-1] and not changed[0])


def _narrowed(bracket: _Bracket, changed: np.ndarray) -> _Bracket:
    """The interval between the last point without a change of sign and the first with one."""
    first = int(np.argmax(changed))
    points = bracket.points()
    return _Bracket(float(points[first - 1]), float(points[first]))
