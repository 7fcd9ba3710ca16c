"""Muon, which moves matrices along orthogonal ones, and all else, if at all, by Adam: how matrices are moved tells it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from reference import Adam, Decay, Epsilon, Muon, Reach

from ..compare.account import Account
from ..compare.feed import Feed
from . import fit
from .fit import Data, Found

NAMES = ("matrix", "wide")
STEPS = 24
MOMENTA = (0.5, 0.9, 0.95)
DECAYS = (0.0, 0.01, 0.1)
USUAL = {"a": 3.4445, "b": -4.7750, "c": 2.0315}
USUALLY = 4  # proposals without Adam that have the usual polynomial; they come first
COUNTS = (5, 3, 4, 6, 2, 1)  # of iterations


def proposals(account: Account, feed: Feed, adam: Adam | None) -> Iterator[Found]:
    """Fitted rules; ``adam`` is what moves tensors that are no matrices, None if they are refused."""
    given = fit.data(account, feed, NAMES, STEPS, flat=False)
    for fixed in _kinds(adam):
        found = _fitted(fixed, given, {})
        if found:
            yield found
    for count in COUNTS:
        for fixed in _kinds(adam):
            found = _fitted({**fixed, "ns_steps": count}, given, USUAL)
            if found:
                yield found


def _kinds(adam: Adam | None) -> Iterator[dict[str, Any]]:
    """As Keras has it, a share of Adam's rate; or as PyTorch has it."""
    if adam:
        ours = {
            "mean": False, "epsilon": 1e-7, "epsilon_at": Epsilon.OUTSIDE, "adam": True, "lr": adam.lr,
            "adam_beta1": adam.beta1, "adam_beta2": adam.beta2, "adam_epsilon": adam.epsilon,
            "adam_weight_decay": adam.weight_decay,
        }  # fmt: skip
        reaches: tuple[tuple[Reach, dict[str, Any]], ...] = ((Reach.LONG, {}), (Reach.ONE, {}), (Reach.TALL, {}))
    else:
        ours = {"mean": True, "epsilon": 1e-7, "epsilon_at": Epsilon.FLOOR, "adam": False}
        reaches = ((Reach.TALL, {}), (Reach.LONG, {"share": 0.2}))
    for reach, more in reaches:
        for nesterov in (True, False):
            yield {**ours, "reach": reach, "nesterov": nesterov, "decay": Decay.DECOUPLED, **more}


def _fitted(fixed: dict[str, Any], given: Data, polynomial: dict[str, float]) -> Found | None:
    """From the first step's length, at several momenta and decays."""
    free = "share" if fixed["adam"] else "lr"
    unit = fit.course(Muon(**fixed, **polynomial, **{free: 1.0}), given.cut(1))
    lengths = [np.sqrt(np.mean((theta[0] - start) ** 2)) for theta, start in zip(unit, given.starts, strict=True)]
    moved = [np.sqrt(np.mean((theta[0] - start) ** 2)) for theta, start in zip(given.went, given.starts, strict=True)]
    size = float(np.mean(np.array(moved) / np.array(lengths)))
    grid = {"momentum": MOMENTA, "weight_decay": DECAYS}
    start = fit.best(Muon, fixed, grid, lambda at: {free: size, **at, **polynomial}, given)
    return fit.fitted(Muon, fixed, start, given, fit.ROUNDS if not polynomial else 2 * fit.ROUNDS) if start else None
