"""Black boxes for tests of ``samestep.parity.identify``: how they run, and rules with numbers drawn at random to fill them."""

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
    """Run a contestant in this process; what it raises is told as its own process would."""
    if contestant.kind == "rule":
        return worker.ran_on(contestant, trials)
    try:
        return [worker.execute(contestant, trial, dtype) for trial, dtype in trials]
    except Exception as error:
        raise ValueError(str(error)) from error


def blind(rule: Rule) -> Callable[[Contestant, Sequence[tuple[Trial, str]]], list[RunResult]]:
    """Runs every contestant as this rule, which nothing but its steps tells."""

    def run(contestant: Contestant, trials: Sequence[tuple[Trial, str]]) -> list[RunResult]:
        return [RunResult(in_numpy.run(rule, trial, dtype), "numpy", None) for trial, dtype in trials]

    return run


def assert_is(found: Identity, rule: Rule) -> None:
    """The rule is the one that was found, or one of those that cannot be told from it."""
    assert found.rule, (found.nearest, found.held)
    told = {repr(known) for known in (found.rule, *found.alike)}
    assert repr(rule) in told, told


CHOICES = {  # by interval: numbers as somebody might choose them
    "lr": (0.001, 0.05), "weight_decay": (0.01, 0.2), "epsilon": (1e-9, 1e-3), "initial_accumulator": (0.01, 1.0),
    "initial_mean_square": (0.01, 1.0), "lr_decay": (0.001, 0.1), "momentum_decay": (0.004, 1.0),
    "warmup": (3.0, 20.0), "lambd": (0.01, 0.5), "alpha": (0.5, 1.0), "l1": (0.001, 0.01), "l2": (0.1, 1.0),
    "shrinkage": (0.1, 1.0), "beta": (0.1, 1.0), "clip": (0.5, 1.5), "epsilon1": (1e-7, 1e-4), "epsilon2": (0.001, 0.1),
    "rho": (0.7, 0.99), "momentum": (0.5, 0.95), "dampening": (0.1, 0.9), "beta1": (0.7, 0.95), "beta2": (0.8, 0.999),
    "fall": (0.3, 0.7), "rise": (1.1, 1.5), "smallest": (1e-6, 1e-5), "largest": (1.0, 50.0), "lr_power": (-0.7, -0.3),
    "beta2_decay": (-0.9, -0.5),
}  # fmt: skip


def drawn(kind: type[Rule], seed: int) -> Rule:
    """A rule with numbers of three digits, each at random its default or drawn, and flags at random."""
    words = iter(np.random.Philox(key=seed).random_raw(100) >> np.uint64(11))
    told: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        odd, share = int(next(words)) & 1, float(next(words)) * 2.0**-53
        choices = field.metadata.get("choices", ())
        if choices and odd and (kind, field.name) != (Lion, "decay"):  # no native couples it
            told[field.name] = choices[int(share * len(choices))]
        elif (kind, field.name) == (Rprop, "weight_decay"):
            continue  # no native has it, and identify does not look for it
        elif field.name in CHOICES and (odd or field.name == "lr"):
            low, high = CHOICES[field.name]
            told[field.name] = float(f"{low + share * (high - low):.3g}")
    try:
        return kind(**told)
    except ValueError:  # nesterov without momentum, or with dampening
        return kind(**{**told, "nesterov": False})
