"""Muon: it moves matrices along orthogonal ones, and all other tensors by Adam or not at all."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from samestep.reference import Adam, Decay, Epsilon, Muon, ShapeScale

from .family import Numbers, RuleTemplate
from .fit import ITERATIONS, FittedRule, fit, rank_starts
from .fit_data import FitData, fit_data
from .observe import Observation

MATRICES = ("matrix", "wide")  # the probes that are matrices
STEPS = 10
FEW_ITERATIONS = 15
MOMENTA = (0.5, 0.9, 0.95)
WEIGHT_DECAYS = (0.0, 0.01, 0.1)
USUAL_POLYNOMIAL = {"a": 3.4445, "b": -4.7750, "c": 2.0315}
FITS = 1e-2  # bfloat16, which PyTorch uses inside, leaves an error this large
ITERATION_COUNTS = (5, 3, 4, 6, 2, 1)  # of the polynomial


def propose_muon(observation: Observation, adam: Adam | None) -> list[FittedRule]:
    """Fitted rules, the nearest first.

    ``adam`` is what moves the tensors that are no matrices, None if the optimizer refuses those.
    Other polynomials are fitted if the usual one does not fit.
    """
    data = fit_data(observation, MATRICES, STEPS, elementwise=False)
    usual = _fit_usual_polynomial(data, adam)
    fitted = [rule for rule, _ in usual]
    if not usual or fitted[0].error <= FITS:
        return fitted
    _, nearest = usual[0]
    others = []
    for count in ITERATION_COUNTS:
        template = RuleTemplate(Muon, {**nearest.fixed, "ns_steps": count})
        rule = _fit(template, data, USUAL_POLYNOMIAL, ITERATIONS)
        others += [rule] if rule else []
    return sorted(others, key=lambda rule: rule.error) + fitted


def propose_usual_muon(observation: Observation) -> list[FittedRule]:
    """The same for an optimizer that refuses all but matrices, with the usual polynomial alone."""
    data = fit_data(observation, MATRICES, STEPS, elementwise=False)
    return [rule for rule, _ in _fit_usual_polynomial(data, None)]


def _fit_usual_polynomial(
    data: FitData, adam: Adam | None
) -> list[tuple[FittedRule, RuleTemplate]]:
    fitted = []
    for fixed in _flags(adam):
        template = RuleTemplate(Muon, fixed)
        rule = _fit(template, data, {}, FEW_ITERATIONS)
        fitted += [(rule, template)] if rule else []
    return sorted(fitted, key=lambda pair: pair[0].error)


def _flags(adam: Adam | None) -> Iterator[dict[str, Any]]:
    """Fixed fields: as in Keras, which moves other tensors by Adam, or as in PyTorch."""
    if adam:
        fixed = {
            "ema": False,
            "epsilon": 1e-7,
            "epsilon_at": Epsilon.OUTSIDE,
            "adam": True,
            "lr": adam.lr,
            "adam_beta1": adam.beta1,
            "adam_beta2": adam.beta2,
            "adam_epsilon": adam.epsilon,
            "adam_weight_decay": adam.weight_decay,
        }
        scales: list[dict[str, Any]] = [
            {"shape_scale": ShapeScale.LONGER_SIDE},
            {"shape_scale": ShapeScale.ONE},
            {"shape_scale": ShapeScale.ASPECT_RATIO},
        ]
    else:
        fixed = {"ema": True, "epsilon": 1e-7, "epsilon_at": Epsilon.FLOOR, "adam": False}
        scales = [
            {"shape_scale": ShapeScale.ASPECT_RATIO},
            {"shape_scale": ShapeScale.LONGER_SIDE, "lr_scale": 0.2},
        ]
    for scale in scales:
        for nesterov in (True, False):
            yield {**fixed, **scale, "nesterov": nesterov, "decay": Decay.DECOUPLED}


def _fit(
    template: RuleTemplate, data: FitData, polynomial: Numbers, iterations: int
) -> FittedRule | None:
    """The fit from the length of the first step, at several momenta and weight decays."""
    free = "lr_scale" if template.fixed["adam"] else "lr"
    unit_rule = template.make({**polynomial, free: 1.0})
    unit_thetas = [thetas[0] for thetas in data.first_steps(1).thetas_of([unit_rule])]
    unit_lengths = _first_lengths(data, unit_thetas)
    size = float(np.mean(_first_lengths(data, data.thetas) / unit_lengths))
    starts = [
        {free: size, "momentum": momentum, "weight_decay": weight_decay, **polynomial}
        for momentum, weight_decay in itertools.product(MOMENTA, WEIGHT_DECAYS)
    ]
    ranked = rank_starts(template, starts, data)
    return fit(template, ranked[0][1], data, iterations) if ranked else None


def _first_lengths(data: FitData, thetas: list[np.ndarray]) -> np.ndarray:
    """By tensor: the root mean square of the first step."""
    steps = [theta[0] - start for theta, start in zip(thetas, data.starts, strict=True)]
    return np.array([np.sqrt(np.mean(step**2)) for step in steps])
