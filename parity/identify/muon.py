"""Muon: it moves matrices along orthogonal ones, and all other tensors by Adam or not at all.

The learning rate itself cannot be known, but only its products with the scales of both kinds of
steps. The scale of matrices is fitted where Adam moves vectors, else the learning rate.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference import Adam, Decay, Epsilon, Muon, ShapeScale

from .family import Flags, Numbers, RuleTemplate, choices_of
from .fit import EXACT, ITERATIONS, FittedRule, fit, rank_starts
from .fit_data import FitData, fit_data
from .observe import Observation
from .polynomial import find_polynomials
from .refine import decimal_of_product, refine_as_seen, split_rate
from .search import HOPELESS, drop_negligible, reseed_vanished
from .trials import idle_matrix

MATRICES = ("matrix", "wide", "folded")  # the probes that are matrices
FIRST_STEPS = 3  # on which the points of the grid are tried
STEPS = 10
MANY_ITERATIONS = 100
FEW_ITERATIONS = 15
MOMENTA = (0.0, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99)
EPSILONS = (1e-7, 1e-3, 0.1, 1.0)
WEIGHT_DECAYS = (1e-4, 1e-3, 0.01, 0.1)
USUAL_POLYNOMIAL = {"a": 3.4445, "b": -4.7750, "c": 2.0315}
MOST_STEPS = 7  # of the polynomial
NEAR = 1e-3  # the error of a grid point that may become exact
BEST = 6  # templates that are fitted
PRODUCTS = ("weight_decay", "adam_weight_decay", "lr_scale", "adam_lr_scale", "a", "b", "c")
JOINED_DIGITS = 6  # of a product of two numbers with three digits
SHARED = ("lr", "decay")  # fields that matrices and vectors have in common
LIKELY_SHAPES: tuple[Flags, ...] = (  # torch's two choices
    {"shape_scale": ShapeScale.ASPECT_RATIO},
    {"shape_scale": ShapeScale.LONGER_SIDE, "lr_scale": 0.2},
)


@dataclasses.dataclass(frozen=True)
class Matrices:
    """What is known of an optimizer that may be Muon.

    ``observation`` is that of the probes. ``fallback`` has the fields of the rule that moves
    vectors. ``shrink`` is the share by which a matrix without a gradient shrinks, None if it is
    moved otherwise.
    """

    observation: Observation
    fallback: dict[str, Any]
    maximize: bool
    shrink: float | None

    def data(self, steps: int) -> FitData:
        """The first steps of the probes that are matrices."""
        names = [name for name in MATRICES if name in self.observation.trial.start]
        return fit_data(self.observation, names, steps, elementwise=False)

    @property
    def free_scale(self) -> str:
        """The number that says how long the steps are."""
        return "lr_scale" if self.fallback["adam"] else "lr"

    def decays(self) -> list[Decay | None]:
        """The kinds of weight decay that the optimizer may have."""
        if self.shrink is None:
            return [Decay.COUPLED]
        choices = [choice for choice in choices_of(Muon, "decay") if choice is not Decay.COUPLED]
        return list(choices) if self.shrink else [None]


def look_at_matrices(
    observation: Observation, adam: Adam | None, run: Callable[[Trial], Trajectory]
) -> Matrices:
    """Run the optimizer on a matrix without a gradient, and collect what is known.

    ``adam`` is what moves the tensors that are no matrices, None if the optimizer refuses those.
    """
    idle = idle_matrix()
    theta = run(idle).thetas["idle"][0].astype(np.float64)
    start = idle.start["idle"].astype(observation.dtype).astype(np.float64)
    shares = (start - theta) / start
    middle = float(np.median(shares))
    room = 2.0**-20 * abs(middle) + 8 * np.finfo(observation.dtype).eps
    equal = bool((np.abs(shares - middle) <= room).all()) or not np.isfinite(theta).all()
    shrink = max(0.0, np.nan_to_num(middle)) if equal else None
    return Matrices(observation, _fallback(adam), _maximizes(observation), shrink)


def _fallback(adam: Adam | None) -> dict[str, Any]:
    if adam is None:
        return {"adam": False}
    lr, scale = split_rate(adam.lr)
    shrinks = adam.decay is not Decay.COUPLED  # by its product with lr itself
    fields = {
        "adam": True,
        "lr": lr,
        "adam_lr_scale": scale,
        "adam_beta1": adam.beta1,
        "adam_beta2": adam.beta2,
        "adam_epsilon": adam.epsilon,
        "adam_weight_decay": adam.weight_decay * (adam.lr / lr if shrinks and lr else 1.0),
    }
    return {**fields, "decay": adam.decay} if adam.weight_decay else fields


def _maximizes(observation: Observation) -> bool:
    """True if the first step climbs: along its gradient."""
    products = 0.0
    for name in MATRICES:
        if name in observation.trial.start:
            step = observation.trajectory.thetas[name][0] - observation.trial.start[name]
            products += float((step * observation.trial.gradients[name][0]).sum())
    return products > 0


def propose_muon(matrices: Matrices) -> list[FittedRule]:
    """Fitted rules, the nearest first.

    Other polynomials are fitted if the usual one does not fit.
    """
    fitted = _fit_best(matrices, _usual_templates(matrices))
    if not fitted or fitted[0].error > NEAR:
        fitted += _fit_best(matrices, _templates_of_polynomials(matrices))
    written: list[FittedRule] = []
    for rule in sorted(fitted, key=_error):
        written += [*_in_decimals(rule, matrices), _with_fallback(rule, matrices)]
    return written


def _error(fitted: FittedRule) -> float:
    return fitted.error


def _fit_best(
    matrices: Matrices, templates: Iterator[tuple[RuleTemplate, list[Numbers]]]
) -> list[FittedRule]:
    """The templates that come near at some point of their grids, fitted; the nearest first."""
    fitted: list[tuple[FittedRule, RuleTemplate]] = []
    for _, template, start in _rank(matrices, templates)[:BEST]:
        fitted += _fit(template, start, matrices)
        if fitted and fitted[-1][0].error < EXACT:
            break
    fitted.sort(key=lambda pair: pair[0].error)
    if fitted and EXACT <= fitted[0][0].error <= NEAR:
        fitted += _fit_alternatives(*fitted[0], matrices)
    return sorted((rule for rule, _ in fitted), key=_error)


def _fit_alternatives(
    near: FittedRule, template: RuleTemplate, matrices: Matrices
) -> Iterator[tuple[FittedRule, RuleTemplate]]:
    """The same with another place of epsilon or kind of decay, which a few steps hardly tell."""
    for decay, place in itertools.product(matrices.decays(), choices_of(Muon, "epsilon_at")):
        changed = {"epsilon_at": place} if decay is None else {"epsilon_at": place, "decay": decay}
        fixed = {**template.fixed, **changed}
        if fixed != template.fixed:
            yield from _fit(RuleTemplate(Muon, fixed), near.numbers, matrices)


Ranked = tuple[float, RuleTemplate, Numbers]


def _rank(
    matrices: Matrices, templates: Iterator[tuple[RuleTemplate, list[Numbers]]]
) -> list[Ranked]:
    """The best start of each template, with its error on a few steps, the nearest first."""
    data = matrices.data(FIRST_STEPS)
    ranked = []
    for template, starts in templates:
        best = rank_starts(template, starts, data)[:1]
        ranked += [(error, template, start) for error, start in best if np.isfinite(error)]
    return sorted(ranked, key=lambda row: row[0])


def _usual_templates(matrices: Matrices) -> Iterator[tuple[RuleTemplate, list[Numbers]]]:
    for flags in _flags(matrices):
        for steps, shape in itertools.product(range(MOST_STEPS + 1), ShapeScale):
            fixed = {**flags, "ns_steps": steps, "shape_scale": shape}
            yield _with_starts(matrices, RuleTemplate(Muon, fixed), {})


def _templates_of_polynomials(matrices: Matrices) -> Iterator[tuple[RuleTemplate, list[Numbers]]]:
    """Templates whose polynomial is free, started from what the first step shows."""
    data = matrices.data(1)
    shrink = matrices.shrink or 0.0
    thetas = [theta[0] for theta in data.thetas]
    moves = [start * (1 - shrink) - end for start, end in zip(data.starts, thetas, strict=True)]
    gradients = [gradient[0] for gradient in data.gradients]
    if matrices.maximize:
        gradients = [-gradient for gradient in gradients]
    for polynomial in find_polynomials(gradients, moves, MOST_STEPS):
        for flags in _flags(matrices):
            fixed = {**flags, "ns_steps": polynomial.steps, "shape_scale": polynomial.shape_scale}
            numbers = {"a": polynomial.a, "b": polynomial.b, "c": polynomial.c}
            template, starts = _with_starts(matrices, RuleTemplate(Muon, fixed), numbers)
            yield (
                (template, starts)
                if polynomial.steps > 1
                else _joined_scale(matrices, fixed, starts)
            )


def _joined_scale(
    matrices: Matrices, fixed: Flags, starts: list[Numbers]
) -> tuple[RuleTemplate, list[Numbers]]:
    """The same where a polynomial is applied once: only its product with the scale can be known."""
    if not matrices.fallback["adam"]:
        return RuleTemplate(Muon, {**fixed, "a": starts[0]["a"]}), [
            {name: value for name, value in start.items() if name != "a"} for start in starts
        ]
    joined = []
    for start in starts:
        scale = start["lr_scale"]
        numbers = {name: scale * start[name] if name in "abc" else start[name] for name in start}
        joined.append({name: value for name, value in numbers.items() if name != "lr_scale"})
    return RuleTemplate(Muon, fixed), joined


def _flags(matrices: Matrices) -> Iterator[dict[str, Any]]:
    for decay, nesterov, place in itertools.product(
        matrices.decays(), (True, False), choices_of(Muon, "epsilon_at")
    ):
        shared = {name: matrices.fallback[name] for name in SHARED if name in matrices.fallback}
        fixed = {**shared, "nesterov": nesterov, "epsilon_at": place}
        fixed |= {"maximize": matrices.maximize, "adam": False}  # matrices tell nothing about it
        if decay is not None and fixed.setdefault("decay", decay) is not decay:
            continue
        yield fixed


def _with_starts(
    matrices: Matrices, template: RuleTemplate, polynomial: Numbers
) -> tuple[RuleTemplate, list[Numbers]]:
    """The template with its starts: the scale from the length of the first step, and a grid."""
    data = matrices.data(1)
    free = matrices.free_scale
    lengths = _first_lengths(data, data.thetas)
    unit_rule = template.make({**polynomial, free: 1.0})
    with np.errstate(all="ignore"):
        unit = [thetas[0] for thetas in data.thetas_of([unit_rule])]
        size = float(np.nan_to_num(np.mean(lengths / _first_lengths(data, unit))))
    starts = []
    for momentum, epsilon in itertools.product(MOMENTA, EPSILONS):
        numbers = {free: size, "momentum": momentum, "epsilon": epsilon, **polynomial}
        starts += [{**numbers, **decay} for decay in _decay_starts(matrices, template, size)]
    return template, starts


def _decay_starts(matrices: Matrices, template: RuleTemplate, size: float) -> list[Numbers]:
    if matrices.shrink is None:
        return [{"weight_decay": value} for value in WEIGHT_DECAYS]
    if not matrices.shrink:
        return [{}]
    lr = template.fixed["lr"] if matrices.fallback["adam"] else size
    return [{"weight_decay": matrices.shrink / lr if lr else 0.0}]


def _first_lengths(data: FitData, thetas: Sequence[np.ndarray]) -> np.ndarray:
    """By tensor: the root mean square of the first step."""
    steps = [theta[0] - start for theta, start in zip(thetas, data.starts, strict=True)]
    return np.array([np.sqrt(np.mean(step**2)) for step in steps])


def _fit(
    template: RuleTemplate, start: Numbers, matrices: Matrices
) -> list[tuple[FittedRule, RuleTemplate]]:
    """The fit on a few steps, and on all if that comes near; none where no rule is allowed."""
    fitted = fit(template, start, matrices.data(STEPS), ITERATIONS)
    if fitted is None:
        return []
    if fitted.error <= HOPELESS:
        data = matrices.data(matrices.observation.trial.steps)
        numbers = reseed_vanished(fitted, data)
        fitted = fit(template, numbers, data, MANY_ITERATIONS) or fitted
        smaller = drop_negligible(fitted, data)
        if smaller is not fitted:
            fitted = fit(template, smaller.numbers, data, MANY_ITERATIONS) or fitted
    return [(fitted, template)]


def _in_decimals(fitted: FittedRule, matrices: Matrices) -> Iterator[FittedRule]:
    """The same with the rule that moves vectors, and its numbers as decimals."""
    if fitted.error > NEAR:
        return
    for refined in refine_as_seen(fitted):
        rule = refined.rule.replace(**matrices.fallback)
        assert isinstance(rule, Muon)
        rule = rule if rule.adam else _with_split_rate(rule)
        products = {name: decimal_of_product(getattr(rule, name)) for name in PRODUCTS}
        lr = float(str(np.float32(rule.lr)))  # the shortest decimal that is this number in float32
        yield FittedRule(rule.replace(**products, lr=lr), refined.error, ())


def _with_split_rate(rule: Muon) -> Muon:
    """The rule whose rate is a product, with the rate and the factor by itself."""
    joined = rule.ns_steps == 1  # then the polynomial is a factor, too
    factor = rule.a if joined else 1.0
    lr, scale = split_rate(rule.lr * rule.lr_scale * factor, JOINED_DIGITS if joined else 0)
    changes: Numbers = {"lr": lr, "lr_scale": 1.0 if joined else scale}
    if joined and rule.a:
        changes |= {name: getattr(rule, name) * scale / rule.a for name in "abc"}
    if rule.decay is not Decay.COUPLED and lr:
        changes["weight_decay"] = rule.weight_decay * rule.lr / lr
    return rule.replace(**changes)


def _with_fallback(fitted: FittedRule, matrices: Matrices) -> FittedRule:
    """The same with the rule that moves vectors, whose numbers count as fitted, too."""
    rule = fitted.rule.replace(**matrices.fallback)
    names = [name for name, value in matrices.fallback.items() if isinstance(value, float)]
    return fitted._replace(rule=rule, names=(*fitted.names, *names))


def propose_usual_muon(observation: Observation) -> list[FittedRule]:
    """The usual polynomial as torch has it, for an optimizer that rounds inside as torch does."""
    data = fit_data(observation, MATRICES[:2], STEPS, elementwise=False)
    matrices = Matrices(observation, {"adam": False}, _maximizes(observation), 0.0)
    fitted = []
    for shape, nesterov in itertools.product(LIKELY_SHAPES, (True, False)):
        fixed = {**shape, "adam": False, "ema": True, "nesterov": nesterov}
        fixed |= {"epsilon": 1e-7, "epsilon_at": Epsilon.FLOOR, "maximize": matrices.maximize}
        template = RuleTemplate(Muon, fixed)
        _, starts = _with_starts(matrices, RuleTemplate(Muon, fixed), {})
        points = [
            {"lr": start["lr"], "momentum": start["momentum"], "weight_decay": decay}
            for start, decay in itertools.product(starts[:: len(EPSILONS)], (0.0, 0.01, 0.1))
        ]
        ranked = rank_starts(template, points, data)
        rule = fit(template, ranked[0][1], data, FEW_ITERATIONS) if ranked else None
        fitted += [rule] if rule else []
    return sorted(fitted, key=lambda rule: rule.error)
