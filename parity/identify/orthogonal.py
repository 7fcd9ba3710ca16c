"""Muon, which moves matrices along orthogonal ones, and all else by Adam or not at all: how matrices move tells it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Decay, Epsilon, Muon, ShapeScale

from . import fit, gap
from .fit import Found
from .gap import Data

NAMES = ("matrix", "wide")
STEPS = 10
FEW = 15  # rounds
MOMENTA = (0.5, 0.9, 0.95)
DECAYS = (0.0, 0.01, 0.1)
USUAL = {"a": 3.4445, "b": -4.7750, "c": 2.0315}
FITS = 1e-2  # a gap that bfloat16 leaves
COUNTS = (5, 3, 4, 6, 2, 1)  # of iterations


def proposals(trajectory: Trajectory, trial: Trial, adam: Adam | None, usual: bool = False) -> list[Found]:
    """Fitted rules, the nearest first; ``adam`` is what moves tensors that are no matrices, None if they are refused.

    Where the ``usual`` polynomial does not fit, others are tried, unless only it is asked for.
    """
    given = gap.data(trajectory, trial, NAMES, STEPS, flat=False)
    fitted = [(found, i, fixed) for i, fixed in enumerate(_kinds(adam)) if (found := _fitted(fixed, given, {}))]
    best = sorted(fitted, key=lambda row: (row[0].gap, row[1]))
    if not usual and best and best[0][0].gap > FITS:
        others = [_fitted({**fixed, "ns_steps": count}, given, USUAL) for count in COUNTS for _, _, fixed in best[:1]]
        best = sorted([(found, 0, {}) for found in others if found], key=lambda row: row[0].gap) + best
    return [found for found, *_ in best]


def _kinds(adam: Adam | None) -> Iterator[dict[str, Any]]:
    """As Keras has it, a share of Adam's rate; or as PyTorch has it."""
    if adam:
        ours = {
            "ema": False, "epsilon": 1e-7, "epsilon_at": Epsilon.OUTSIDE, "adam": True, "lr": adam.lr,
            "adam_beta1": adam.beta1, "adam_beta2": adam.beta2, "adam_epsilon": adam.epsilon,
            "adam_weight_decay": adam.weight_decay,
        }  # fmt: skip
        shape_scales: tuple[tuple[ShapeScale, dict[str, Any]], ...] = (
            (ShapeScale.LONGER_SIDE, {}), (ShapeScale.ONE, {}), (ShapeScale.ASPECT_RATIO, {}),
        )  # fmt: skip
    else:
        ours = {"ema": True, "epsilon": 1e-7, "epsilon_at": Epsilon.FLOOR, "adam": False}
        shape_scales = ((ShapeScale.ASPECT_RATIO, {}), (ShapeScale.LONGER_SIDE, {"lr_scale": 0.2}))
    for shape_scale, more in shape_scales:
        for nesterov in (True, False):
            yield {**ours, "shape_scale": shape_scale, "nesterov": nesterov, "decay": Decay.DECOUPLED, **more}


def _fitted(fixed: dict[str, Any], given: Data, polynomial: dict[str, Any]) -> Found | None:
    """From the first step's length, at several momenta and decays."""
    free: str = "lr_scale" if fixed["adam"] else "lr"
    unit = gap.course(Muon(**{**fixed, **polynomial, free: 1.0}), given.cut(1))
    lengths = [np.sqrt(np.mean((theta[0] - start) ** 2)) for theta, start in zip(unit, given.starts, strict=True)]
    moved = [np.sqrt(np.mean((theta[0] - start) ** 2)) for theta, start in zip(given.went, given.starts, strict=True)]
    size = float(np.mean(np.array(moved) / np.array(lengths)))
    grid = {"momentum": MOMENTA, "weight_decay": DECAYS}
    starts = fit.ranked(Muon, fixed, grid, lambda at: {free: size, **at, **polynomial}, given)
    return fit.fitted(Muon, fixed, starts[0][1], given, FEW if not polynomial else fit.ROUNDS) if starts else None
