"""Optimizers of unknown content for the tests of ``samestep.parity.identify``.

``drawn`` makes a rule with random hyperparameters; ``blind`` and ``here`` run an optimizer without
a child process.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from samestep.parity.identify.answer import Identity
from samestep.parity.measure.trial import Trial
from samestep.parity.runners import numpy as in_numpy
from samestep.parity.runners import worker
from samestep.parity.runners.contestants import Contestant
from samestep.parity.runners.worker import RunResult
from samestep.reference import Lion, Rprop, Rule

BOX = Contestant("box", "factory", "")


def here(contestant: Contestant, trials: Sequence[tuple[Trial, str]]) -> list[RunResult]:
    """Run a contestant in this process.

    An exception becomes a ValueError, as when the contestant runs in a process of its own.
    """
    if contestant.kind == "rule":
        return worker.ran_on(contestant, trials)
    try:
        return [worker.execute(contestant, trial, dtype) for trial, dtype in trials]
    except Exception as error:
        raise ValueError(str(error)) from error


def blind(rule: Rule) -> Callable[[Contestant, Sequence[tuple[Trial, str]]], list[RunResult]]:
    """A runner that takes the steps of ``rule``, whatever the contestant's name says."""

    def run(contestant: Contestant, trials: Sequence[tuple[Trial, str]]) -> list[RunResult]:
        return [
            RunResult(in_numpy.run(rule, trial, dtype), "numpy", None) for trial, dtype in trials
        ]

    return run


def assert_is(identity: Identity, rule: Rule) -> None:
    """The rule is the one that was identified, or one that no step can distinguish from it."""
    assert identity.rule, (identity.nearest, identity.held)
    names = {repr(known) for known in (identity.rule, *identity.alike)}
    assert repr(rule) in names, names


CHOICES = {  # by hyperparameter: the interval of values that somebody might choose
    "lr": (0.001, 0.05),
    "weight_decay": (0.01, 0.2),
    "epsilon": (1e-9, 1e-3),
    "initial_accumulator": (0.01, 1.0),
    "initial_mean_square": (0.01, 1.0),
    "lr_decay": (0.001, 0.1),
    "momentum_decay": (0.004, 1.0),
    "warmup": (3.0, 20.0),
    "lambd": (0.01, 0.5),
    "alpha": (0.5, 1.0),
    "l1": (0.001, 0.01),
    "l2": (0.1, 1.0),
    "shrinkage": (0.1, 1.0),
    "beta": (0.1, 1.0),
    "clip": (0.5, 1.5),
    "epsilon1": (1e-7, 1e-4),
    "epsilon2": (0.001, 0.1),
    "rho": (0.7, 0.99),
    "momentum": (0.5, 0.95),
    "dampening": (0.1, 0.9),
    "beta1": (0.7, 0.95),
    "beta2": (0.8, 0.999),
    "fall": (0.3, 0.7),
    "rise": (1.1, 1.5),
    "smallest": (1e-6, 1e-5),
    "largest": (1.0, 50.0),
    "lr_power": (-0.7, -0.3),
    "beta2_decay": (-0.9, -0.5),
}


def drawn(kind: type[Rule], seed: int) -> Rule:
    """A rule whose hyperparameters are, each at random, its default or a value of three digits."""
    raw = iter(np.random.Philox(key=seed).random_raw(100) >> np.uint64(11))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        odd = int(next(raw)) & 1
        share = float(next(raw)) * 2.0**-53
        choices = field.metadata.get("choices", ())
        if choices and odd and (kind, field.name) != (Lion, "decay"):  # no native couples it
            values[field.name] = choices[int(share * len(choices))]
        elif (kind, field.name) == (Rprop, "weight_decay"):
            continue  # no native has it, and identify does not look for it
        elif field.name in CHOICES and (odd or field.name == "lr"):
            low, high = CHOICES[field.name]
            values[field.name] = float(f"{low + share * (high - low):.3g}")
    try:
        return kind(**values)
    except ValueError:  # nesterov without momentum, or with dampening
        return kind(**{**values, "nesterov": False})
