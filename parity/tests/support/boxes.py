"""Black boxes for the tests of ``samestep identify``: how they run, and rules drawn at random."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.parity.identify.answer import Identity
from samestep.parity.identify.judge import compare_on_trial, judge
from samestep.parity.identify.observe import BlackBox, Observation, Request, Run, gather
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.measure.streams import normal
from samestep.parity.measure.trial import Trial, of_arrays
from samestep.parity.natives.interpretations import Interpretation
from samestep.parity.runners import worker
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import Kind, OptimizerSpec
from samestep.parity.tests.support.require import require
from samestep.reference import Lion, Muon, Rprop, Rule

require("scipy")  # identify fits with it

FRESH_SHAPES = ((7,), (4, 6), (9, 2))
FRESH_STEPS = 120
FRESH_SEED = 977
BOX = OptimizerSpec("box", Kind.FACTORY, "")


def here(spec: OptimizerSpec, requests: Sequence[Request]) -> list[RunResult]:
    """Run an optimizer on trials in this process.

    What it raises becomes a ValueError, as in a process of its own.
    """
    try:
        return [worker.run_here(spec, trial, job) for trial, job in requests]
    except Exception as error:
        raise ValueError(str(error)) from error


def blind(rule: Rule) -> Run:
    """A function that runs every optimizer as this rule, and does not tell the rule."""

    def run(spec: OptimizerSpec, requests: Sequence[Request]) -> list[RunResult]:
        return [
            RunResult(run_rule(rule, trial, job.dtype), "numpy", None) for trial, job in requests
        ]

    return run


def assert_is(identity: Identity, rule: Rule) -> None:
    """Assert that the rule was identified, or one that cannot be distinguished from it."""
    assert identity.rule, (identity.nearest, identity.results)
    names = {repr(known) for known in (identity.rule, *identity.indistinguishable)}
    assert repr(rule) in names, names


def assert_is_indistinguishable(identity: Identity, rule: Rule) -> None:
    """Assert that the rule was identified, or one from which no stream of gradients tells it.

    The second is decided on streams that ``identify`` does not know: there, too, the rule must stay
    within the limits of the identified one.
    """
    assert identity.rule, (identity.nearest, identity.results)
    if repr(rule) in {repr(known) for known in (identity.rule, *identity.indistinguishable)}:
        return
    for trial in fresh_trials(vectors=not isinstance(rule, Muon) or rule.adam):
        observation = Observation(trial, "float64", run_rule(rule, trial, "float64"))
        result = compare_on_trial(Interpretation(identity.rule), observation)
        assert result.holds, (rule, identity.rule, identity.indistinguishable, result.verdict)


def fresh_trials(vectors: bool) -> list[Trial]:
    """Gradients of several sizes, with a learning rate that changes, for matrices and vectors.

    Without ``vectors`` for matrices alone: Muon without Adam refuses all else.
    """
    shapes = [shape for shape in FRESH_SHAPES if vectors or len(shape) == 2]
    trials = []
    for seed, size in enumerate((1e-6, 1e-2, 1.0, 1e2)):
        start = {str(shape): normal(shape, FRESH_SEED + seed) for shape in shapes}
        gradients = {
            str(shape): size * normal((FRESH_STEPS, *shape), FRESH_SEED + 10 + seed)
            for shape in shapes
        }
        factors = np.where(np.arange(FRESH_STEPS) % 40 < 20, 1.0, 0.25)
        trials.append(of_arrays(start, gradients, factors))
    return trials


def can_be_judged(rule: Rule, long: bool) -> bool:
    """True if the rule moves some element of every tensor, and its limits are of use.

    Some numbers make every element infinite, and some let rounding lead anywhere. Then nothing can
    be said about any optimizer. ``long`` asks that of the trial of many steps, too.
    """
    evidence = gather(BlackBox(BOX, blind(rule)), long)
    for observation in evidence.observations:
        for name, thetas in observation.trajectory.thetas.items():
            moved = np.isfinite(thetas[-1]) & (thetas[-1] != observation.trajectory.begin[name])
            if not moved.any():
                return False
    return judge(rule, "", evidence.observations).holds


INTERVALS = {  # by field: numbers as somebody might choose them
    "lr": (0.001, 0.05), "weight_decay": (0.01, 0.2), "epsilon": (1e-9, 1e-3),
    "initial_accumulator": (0.01, 1.0), "initial_mean_square": (0.01, 1.0),
    "lr_decay": (0.001, 0.1), "momentum_decay": (0.004, 1.0), "warmup": (3.0, 20.0),
    "lambd": (0.01, 0.5), "alpha": (0.5, 1.0),
    "l1": (0.001, 0.01), "l2": (0.1, 1.0), "shrinkage": (0.1, 1.0), "beta": (0.1, 1.0),
    "clip": (0.5, 1.5), "epsilon1": (1e-7, 1e-4), "epsilon2": (0.001, 0.1), "rho": (0.7, 0.99),
    "momentum": (0.5, 0.95), "dampening": (0.1, 0.9), "beta1": (0.7, 0.95), "beta2": (0.8, 0.999),
    "fall": (0.3, 0.7), "rise": (1.1, 1.5), "smallest": (1e-6, 1e-5), "largest": (1.0, 50.0),
    "lr_power": (-0.7, -0.3), "beta2_decay": (-0.9, -0.5),
}  # fmt: skip
ALWAYS_DEFAULT = {  # fields that no native has, and that identify does not look for
    (Lion, "decay"),
    (Rprop, "weight_decay"),
}


def drawn(kind: type[Rule], seed: int) -> Rule:
    """A rule with each field at random its default or drawn; numbers have three digits."""
    raw = iter(np.random.Philox(key=seed).random_raw(100) >> np.uint64(11))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        odd = int(next(raw)) & 1
        share = float(next(raw)) * 2.0**-53
        choices = field.metadata.get("choices", ())
        if (kind, field.name) in ALWAYS_DEFAULT:
            continue
        if choices and odd:
            values[field.name] = choices[int(share * len(choices))]
        elif field.name in INTERVALS and (odd or field.name == "lr"):
            low, high = INTERVALS[field.name]
            values[field.name] = float(f"{low + share * (high - low):.3g}")
    try:
        return kind(**values)
    except ValueError:  # nesterov without momentum, or with dampening
        return kind(**{**values, "nesterov": False})


FRACTION = "fraction"  # between 0 and 1, drawn by its distance from 1
WIDE_INTERVALS = {  # by field: where numbers are drawn log-uniformly
    "lr": (1e-5, 1.0), "weight_decay": (1e-5, 0.5), "adam_weight_decay": (1e-5, 0.5),
    "epsilon": (1e-12, 0.1), "adam_epsilon": (1e-12, 0.1),
    "initial_accumulator": (1e-4, 10.0), "initial_mean_square": (1e-4, 10.0),
    "lr_decay": (1e-4, 1.0), "momentum_decay": (1e-3, 2.0), "warmup": (1.0, 100.0),
    "lambd": (1e-5, 1.0), "alpha": (0.1, 2.0), "t0": (1.0, 1e7),
    "l1": (1e-4, 1.0), "l2": (1e-4, 1.0), "shrinkage": (1e-4, 1.0), "beta": (1e-4, 1.0),
    "clip": (0.1, 4.0), "epsilon1": (1e-12, 1e-2), "epsilon2": (1e-5, 0.5),
    "rise": (1.02, 3.0), "smallest": (1e-9, 1e-4), "largest": (0.1, 100.0),
    "lr_scale": (0.05, 5.0), "adam_lr_scale": (0.05, 5.0),
    "a": (1.5, 4.0), "c": (0.3, 2.5),
}  # fmt: skip
NEGATIVE = {"lr_power": (0.1, 1.0), "beta2_decay": (0.2, 1.0), "b": (0.5, 5.0)}
ROUND_NUMBERS = {  # numbers that people write; 0 only where it is allowed
    "lr": (1e-4, 3e-4, 1e-3, 1e-2, 0.05, 0.1, 1.0),
    "weight_decay": (1e-4, 5e-4, 4e-3, 0.01, 0.1), "adam_weight_decay": (1e-4, 0.01, 0.1),
    "epsilon": (0.0, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3, 0.1, 1.0),
    "epsilon1": (0.0, 1e-30, 1e-8, 1e-3), "epsilon2": (0.0, 1e-3, 0.1),
    "initial_accumulator": (0.0, 0.1, 1.0), "warmup": (0.0, 1.0, 10.0, 1000.0),
    "clip": (0.5, 1.0, 2.0), "lr_power": (-0.5, 0.0, -1.0), "beta2_decay": (-0.5, -0.8, -1.0),
}  # fmt: skip
ROUND_FRACTIONS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)
CLOSEST_TO_ONE = 1e-4
MOST_NS_STEPS = 7


class _Dice:
    """Random numbers of one seed, the same on every machine."""

    def __init__(self, seed: int) -> None:
        self._raw = iter(np.random.Philox(key=seed).random_raw(200) >> np.uint64(11))

    def share(self) -> float:
        """A number from 0 to 1, 1 excluded."""
        return float(next(self._raw)) * 2.0**-53

    def pick(self, values: Sequence[Any]) -> Any:
        """One of the values."""
        return values[int(self.share() * len(values))]

    def log_uniform(self, low: float, high: float) -> float:
        """A number between two positive ones, with three digits."""
        return float(f"{low * (high / low) ** self.share():.3g}")


def drawn_widely(kind: type[Rule], seed: int) -> Rule:
    """A rule with every field at random: choices too, and numbers of any sensible size.

    A third of the numbers are defaults, a third are numbers that people write.
    """
    for attempt in range(10_000):
        dice = _Dice(10_000 * seed + attempt)
        values = {field.name: _drawn_field(field, dice) for field in dataclasses.fields(kind)}
        try:
            rule = kind(**values)
        except ValueError:  # numbers that do not go together, or a zero where none is allowed
            continue
        if not isinstance(rule, Muon) or _bounds_singular_values(rule):
            return rule
    raise AssertionError(f"no {kind.__name__} can be drawn with seed {seed}")


def _bounds_singular_values(rule: Muon) -> bool:
    """True if the polynomial takes no singular value from 0 to 1 beyond 2, however often."""
    values = np.linspace(0, 1, 101)
    for _ in range(rule.ns_steps):
        square = values * values
        values = values * (rule.a + square * (rule.b + square * rule.c))
        if np.abs(values).max() > 2:
            return False
    return True


def _drawn_field(field: Any, dice: _Dice) -> Any:
    if "choices" in field.metadata:
        return dice.pick(field.metadata["choices"])
    if "whole" in field.metadata:
        return int(dice.share() * MOST_NS_STEPS) + 1
    how = dice.share()
    if how < 1 / 3:
        return field.default
    fraction = field.name not in WIDE_INTERVALS and field.name not in NEGATIVE
    usual = ROUND_FRACTIONS if fraction else ROUND_NUMBERS.get(field.name, ())
    if usual and how < 2 / 3:
        return dice.pick(usual)
    if fraction:
        return float(f"{1 - dice.log_uniform(CLOSEST_TO_ONE, 1.0):.6g}")
    if field.name in NEGATIVE:
        return -dice.log_uniform(*NEGATIVE[field.name])
    return dice.log_uniform(*WIDE_INTERVALS[field.name])
