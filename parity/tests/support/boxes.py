"""Black boxes for the tests of ``samestep identify``: how they run, and rules drawn at random."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from samestep.parity.identify.answer import Identity
from samestep.parity.identify.observe import Request, Run
from samestep.parity.measure.rule_run import run_rule
from samestep.parity.runners import worker
from samestep.parity.runners.result import RunResult
from samestep.parity.runners.specs import Kind, OptimizerSpec
from samestep.parity.tests.support.require import require
from samestep.reference import Lion, Rprop, Rule

require("scipy")  # identify fits with it

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
