"""What somebody's optimizer is held to: a rule, or another optimizer; and the limit that follows from either.

A rule derives its own limit (``samestep.parity.measure.limits``). Of an optimizer nobody knows the formula, so its limit is measured:
the response of its steps when gradients, parameters and state are disturbed by one unit in the last place, each number
up or down, time and again. Either limit must keep out what is wrong on purpose.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure import limits, streams, wrong_rules
from samestep.parity.measure import nearest_wrong as court
from samestep.parity.measure import verdict as verdicts
from samestep.parity.runners.yours import Push, Subject
from samestep.reference import Rule

STEPS = court.STEPS
DISTURBANCES = 4  # all numbers up, all down, and twice each at random

Course = tuple[np.ndarray, np.ndarray]  # where something goes on a trial, and how far rounding can move it


class Tensor(NamedTuple):
    """One tensor of a trial and what comes to it."""

    stream: str
    start: np.ndarray
    gradients: np.ndarray


class Standard(NamedTuple):
    """What is expected. ``courses(dtype)`` has one a tensor; ``wrongs(dtype)`` are held to them, tensor by tensor.

    ``factors`` multiply the learning rate, step by step.
    """

    name: str
    tensors: list[Tensor]
    factors: list[float]
    courses: Callable[[str], list[Course]]
    wrongs: Callable[[str], list[court.Wrong]]
    rule: Rule | None = None

    def nearest_wrong(self, dtypes: Sequence[str]) -> court.Wrong | None:
        """The wrong one that is kept out by the least, each in the dtype and on the tensor that tell it best."""
        best: dict[str, court.Wrong] = {}
        for dtype in dtypes:
            for wrong in self.wrongs(dtype):
                if wrong.distance and (wrong.name not in best or best[wrong.name].excess < wrong.excess):
                    best[wrong.name] = wrong
        return min(best.values(), key=lambda wrong: wrong.excess, default=None)


@functools.lru_cache(maxsize=16)
def by_rule(rule: Rule, chosen: tuple[str, ...], schedule: bool) -> Standard:
    """The rule in NumPy, on each stream."""
    tensors = [
        Tensor(stream, streams.suit(rule, streams.start()), streams.suit(rule, streams.gradients(stream, STEPS)))
        for stream in chosen
    ]
    factors = _factors(schedule)
    trials = [court.TensorTrial(tensor.start, tensor.gradients, rates(rule.lr, factors)) for tensor in tensors]

    @functools.cache
    def courses(dtype: str) -> list[Course]:
        return [course(rule, trial, dtype) for trial in trials]

    @functools.cache
    def wrongs(dtype: str) -> list[court.Wrong]:
        kinds = wrong_rules.wrong_rules(type(rule).__name__)
        return [
            court.held(name, kind(**rule.to_dict()), trial, *right)
            for name, kind in kinds.items()
            for trial, right in zip(trials, courses(dtype), strict=True)
        ]

    return Standard(repr(rule), tensors, factors, courses, wrongs, rule)


def by_optimizer(other: Subject, chosen: Sequence[str], schedule: bool) -> Standard:
    """The other optimizer, on each stream, and on the first as a matrix, too."""
    tensors = [Tensor(stream, streams.start(), streams.gradients(stream, STEPS)) for stream in chosen]
    matrix = (8, streams.SIZE // 8)
    first = [x[..., : math.prod(matrix)] for x in tensors[0][1:]]
    tensors.append(Tensor(f"{chosen[0]}, as a matrix", first[0].reshape(matrix), first[1].reshape(STEPS, *matrix)))
    starts, gradients = [tensor.start for tensor in tensors], [tensor.gradients for tensor in tensors]
    factors, mode = _factors(schedule), other.framework.MODES[0]
    run = functools.partial(other.run, starts)

    @functools.cache
    def courses(dtype: str) -> list[Course]:
        plain = run(gradients, factors, dtype, mode)
        pushed = [run(gradients, factors, dtype, mode, push(seed, dtype)) for seed in range(DISTURBANCES)]
        return [
            (here, np.max([np.abs(moved[k].astype(np.float64) - here) for moved in pushed], axis=0) + last(start, here))
            for k, (start, here) in enumerate(zip(starts, plain, strict=True))
        ]

    def wrongs(dtype: str) -> list[court.Wrong]:
        found = []
        for name, change in WRONG_FROM_OUTSIDE.items():
            actual = run(*change(gradients, factors), dtype, mode)
            for tensor, right, wrong in zip(tensors, courses(dtype), actual, strict=True):
                verdict = verdicts.compare(tensor.start, right[0], wrong, right[1])
                found.append(court.Wrong(name, verdict.distance, verdict.limit))
        return found

    return Standard(other.name, tensors, factors, courses, wrongs)


def course(rule: Rule, trial: court.TensorTrial, dtype: str) -> Course:
    """Where the rule goes on the trial (NumPy, float64), and how far rounding in ``dtype`` can move it."""
    expected = verdicts.run(rule, trial.start, trial.gradients, "float64", trial.rates)
    return expected, limits.bounds(rule, trial.start, trial.gradients, dtype, trial.rates)


def rates(lr: float, factors: Sequence[float]) -> list[float]:
    """Learning rates that float32 can hold."""
    return [float(np.float32(lr * factor)) for factor in factors]


def _factors(schedule: bool) -> list[float]:
    return streams.rates(1.0, STEPS) if schedule else [1.0] * STEPS


def push(seed: int, dtype: str) -> Push:
    """A disturbance by one unit in the last place: all up, all down, or drawn."""
    unit, generator = np.finfo(dtype).eps, np.random.Philox(key=seed)

    def disturbed(x: np.ndarray) -> np.ndarray:
        words = generator.random_raw(x.size).reshape(x.shape)
        up = {0: True, 1: False}.get(seed, words & 1 > 0)
        return np.asarray(x * np.where(up, 1 + unit, 1 - unit), x.dtype)

    return disturbed


def last(start: np.ndarray, thetas: np.ndarray) -> np.ndarray:
    """The last place of every step so far, and of the largest that the parameter has been: neither is better known."""
    course = np.concatenate([start[None], thetas]).astype(np.float64)
    moved, largest = np.cumsum(np.abs(np.diff(course, axis=0)), axis=0), np.maximum.accumulate(np.abs(course))[1:]
    return np.asarray(np.finfo(thetas.dtype).eps * (moved + largest))


Given = tuple[list[np.ndarray], list[float]]  # gradients and factors

WRONG_FROM_OUTSIDE: dict[str, Callable[[list[np.ndarray], list[float]], Given]] = {  # of any optimizer, formula unknown
    "the gradient is that of the step before": lambda gradients, factors: ([stale(g) for g in gradients], factors),
    "the gradient has 16 digits of binary": lambda gradients, factors: ([_coarse(g) for g in gradients], factors),
    "the learning rate is a thousandth too high": lambda gradients, factors: (gradients, [f * 1.001 for f in factors]),
}


def stale(gradients: np.ndarray) -> np.ndarray:
    """Each step's gradient is that of the step before, the first its own."""
    return gradients[np.maximum(np.arange(len(gradients)) - 1, 0)]


def _coarse(gradients: np.ndarray) -> np.ndarray:
    """Gradients rounded to 16 binary digits."""
    fraction, exponent = np.frexp(gradients)
    return np.ldexp(np.rint(np.ldexp(fraction, 16)), exponent - 16)
