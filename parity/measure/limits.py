"""Limits: how far rounding can move a trajectory. Nothing here is chosen by hand.

The limit of a rule is derived from the rule by running error analysis (``bounded``). The limit of
an optimizer whose formula nobody knows is measured: the response of its trajectory to disturbances
of one unit in the last place. Every limit must reject the nearest wrong rule (``nearest_wrong``).
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from samestep.reference import LAMB, RULES, Adafactor, Muon, Rule

from .bounded import AnalysedRule, follow
from .trajectory import Trajectory
from .trial import Trial

SAFETY = 4.0
"""The one safety factor: a trajectory may be this many bounds away.

Both sides of a comparison round, which is 2. A native may take up to twice the operations of the
rule's own formula, such as a lerp for a sum, which is 2 again.
"""

MOST_BYTES = 500_000_000  # of the limits that are kept in memory
WHOLE_TENSORS = (Adafactor, LAMB, Muon)  # rules in which elements of a tensor influence each other
ELEMENTWISE = tuple(kind for kind in RULES if kind not in WHOLE_TENSORS)


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on the rounding error of a trajectory, by tensor: of the tensor (steps, *shape), and
    of its state.

    A trajectory may be ``SAFETY`` bounds away from another. ``source`` says in words where the
    bounds come from.
    """

    thetas: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]
    source: str = ""

    @property
    def nbytes(self) -> int:
        """The size of all arrays in bytes."""
        arrays = list(self.thetas.values())
        for state in self.states.values():
            arrays += state.values()
        return sum(array.nbytes for array in arrays)

    def mean(self, second: "Limits") -> "Limits":
        """The mean of two limits. ``SAFETY`` counts both sides of a comparison, so each side brings
        half of it.

        States that only one side has are left out.
        """
        thetas = {name: (bound + second.thetas[name]) / 2 for name, bound in self.thetas.items()}
        states = {
            name: _mean_state(state, second.states[name]) for name, state in self.states.items()
        }
        return Limits(thetas, states, self.source)


def _mean_state(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {key: (bound + second[key]) / 2 for key, bound in first.items() if key in second}


def of_rule(rule: Rule, trial: Trial, dtype: str, scalars_in: str = "float64") -> Limits:
    """The limits of a rule in ``dtype``, by error analysis; its coefficients are computed in
    ``scalars_in``.

    They are computed once for each rule, trial and dtypes, and kept in memory.
    """
    key = (AnalysedRule(rule, dtype, scalars_in), trial)
    if key not in _CACHE:
        _CACHE.add(key, _of_analysed(*key))
    return _CACHE.get(key)


class _Cache:
    """The limits that were used last, up to ``MOST_BYTES`` of arrays."""

    def __init__(self) -> None:
        self.entries: OrderedDict[tuple[AnalysedRule, Trial], Limits] = OrderedDict()
        self.bytes = 0

    def __contains__(self, key: tuple[AnalysedRule, Trial]) -> bool:
        return key in self.entries

    def get(self, key: tuple[AnalysedRule, Trial]) -> Limits:
        """The limits of the key, which count as used now."""
        self.entries.move_to_end(key)
        return self.entries[key]

    def add(self, key: tuple[AnalysedRule, Trial], limits: Limits) -> None:
        """Keep the limits; drop those that were not used for longest, if there are too many."""
        self.entries[key] = limits
        self.bytes += limits.nbytes
        while self.bytes > MOST_BYTES and len(self.entries) > 1:
            _, dropped = self.entries.popitem(last=False)
            self.bytes -= dropped.nbytes


_CACHE = _Cache()


def _of_analysed(analysed: AnalysedRule, trial: Trial) -> Limits:
    """The limits of a rule; not-a-number and infinity pass silently, as in a run."""
    with np.errstate(all="ignore"):
        return _of_each_tensor(analysed, trial)


def _of_each_tensor(analysed: AnalysedRule, trial: Trial) -> Limits:
    thetas: dict[str, np.ndarray] = {}
    states: dict[str, dict[str, np.ndarray]] = {}
    for names in _followed_together(analysed.rule, trial):
        shapes = [trial.start[name].shape for name in names]
        of_theta, of_states = _of_joined(analysed, trial, names)
        for name, bound in zip(names, _split(of_theta, shapes), strict=True):
            thetas[name] = bound
            states[name] = {}
        for key, errors in of_states.items():
            for name, bound in zip(names, _split(errors, shapes), strict=True):
                states[name][key] = bound
    order = list(trial.start)
    return Limits({name: thetas[name] for name in order}, {name: states[name] for name in order})


def _followed_together(rule: Rule, trial: Trial) -> list[list[str]]:
    """The trial's tensors in groups that are followed as one tensor, which is faster.

    Those of an elementwise rule that have gradients at the same steps.
    """
    if not isinstance(rule, ELEMENTWISE):
        return [[name] for name in trial.start]
    groups: dict[bytes, list[str]] = {}
    for name in trial.start:
        groups.setdefault(trial.present[name].tobytes(), []).append(name)
    return list(groups.values())


def _of_joined(
    analysed: AnalysedRule, trial: Trial, names: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The bounds of tensors that are followed as one, and of its state, (steps, *shape) each."""
    present = trial.present[names[0]]
    start = _joined([trial.start[name][None] for name in names])[0]
    gradients = _joined([trial.gradients[name][present] for name in names])
    rates = [trial.rate_at(analysed.rule.lr, int(step)) for step in np.flatnonzero(present)]
    steps = list(follow(analysed, start, gradients, rates))
    row_of_step = np.cumsum(present)  # row 0 is before the first gradient
    thetas = _rows(np.zeros_like(start), [theta.error for theta, _ in steps])[row_of_step]
    states = {}
    for key, last in (steps[-1][1] if steps else {}).items():
        errors = [state[key].error for _, state in steps]
        states[key] = _rows(np.zeros_like(last.error), errors)[row_of_step]
    return thetas, states


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (steps, *shape) side by side, (steps, elements); one alone stays as it is."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _split(bound: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The bounds (steps, elements) of joined tensors, in their own shapes.

    A bound (steps,) is that of a state that is one number: every tensor has it.
    """
    if len(shapes) == 1 or bound.ndim == 1:
        return [bound] * len(shapes)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(bound, ends[:-1], axis=1)
    return [part.reshape(len(bound), *shape) for part, shape in zip(parts, shapes, strict=True)]


def _rows(first: np.ndarray, errors: list[np.ndarray]) -> np.ndarray:
    return np.array([first, *(np.broadcast_to(error, np.shape(first)) for error in errors)])


def of_tensor(
    rule: Rule,
    theta: np.ndarray,
    gradients: np.ndarray,
    dtype: str,
    rates: Sequence[float] | None = None,
) -> np.ndarray:
    """The bounds of one tensor, (steps, *shape), at these learning rates, else at the rule's
    own.
    """
    analysed = AnalysedRule(rule, dtype)
    steps = follow(analysed, theta, gradients, rates or [rule.lr] * len(gradients))
    return np.array([moved.error for moved, _ in steps])


def between_rules(first: Rule, second: Rule, trial: Trial, dtype: str) -> Limits:
    """The limits between two trajectories that follow two rules, or one rule twice."""
    if first == second:
        return of_rule(first, trial, dtype)
    return of_rule(first, trial, dtype).mean(of_rule(second, trial, dtype))


def measured(plain: Trajectory, disturbed: Sequence[Trajectory]) -> Limits:
    """The limits of an optimizer whose formula is not known, from its response to disturbances of
    the last place.

    ``plain`` is its trajectory, ``disturbed`` are those of runs in which gradients, parameters and
    state were disturbed by one unit in the last place (``disturbance``). A bound is the largest
    response, and a rounding floor.
    """
    thetas = {}
    states: dict[str, dict[str, np.ndarray]] = {}
    for name, theta in plain.thetas.items():
        begin = plain.begin[name]
        thetas[name] = _response(theta, [run.thetas[name] for run in disturbed]) + _floor(
            begin, theta
        )
        states[name] = {}
        for key, array in plain.states[name].items():
            moved = [run.states[name][key] for run in disturbed if key in run.states[name]]
            known = np.nan_to_num(array)  # NaN before the state exists
            states[name][key] = _response(known, moved) + _floor(known[0], known)
    source = (
        "measured: the response to disturbances of one unit in the last place, and the last "
        "place of every step"
    )
    return Limits(thetas, states, source)


# the plain run of an optimizer, and its disturbed runs
Runs = tuple[Trajectory, Sequence[Trajectory]]


def between_unknown(first: Runs, second: Runs) -> Limits:
    """The limits between two optimizers of unknown formulas: each brings half of its own, as two
    rules do.
    """
    return measured(*first).mean(measured(*second))


def _response(plain: np.ndarray, disturbed: Sequence[np.ndarray]) -> np.ndarray:
    """The largest distance of the disturbed arrays from the plain one, element by element."""
    with np.errstate(invalid="ignore"):
        gaps = [np.abs(moved.astype(np.float64) - plain) for moved in disturbed]
    return np.nan_to_num(np.max([np.zeros(plain.shape), *gaps], axis=0))


def _floor(begin: np.ndarray, thetas: np.ndarray) -> np.ndarray:
    """Rounding floor: one unit in the last place of the path travelled plus one of the largest
    value reached.
    """
    course = np.nan_to_num(np.concatenate([begin[None], thetas]).astype(np.float64))
    with np.errstate(over="ignore"):
        path = np.cumsum(np.abs(np.diff(course, axis=0)), axis=0)
    largest = np.maximum.accumulate(np.abs(course))[1:]
    return np.asarray(np.finfo(thetas.dtype).eps * (path + largest))
