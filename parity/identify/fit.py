"""Fit the free hyperparameters of a rule to the steps of an unknown optimizer, by least squares.

The result is a proposal. How near it comes decides nothing.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from samestep.reference import Rule

from .family import TINY, Numbers, RuleTemplate
from .fit_data import FitData, root_mean_square

ITERATIONS = 40
EXACT = 1e-14  # an error this small is rounding
LEAST_GAIN = (
    1e-10  # a fit ends where an iteration makes the sum of squares smaller by less than this share
)
EVALUATIONS = (
    1.5  # of the residuals for each iteration, without derivatives: some steps are rejected
)
UNIT_ROUNDOFF = 2.0**-53
WIDEST = 0.1  # half the width of a central difference: of a number that may be zero, or a logarithm

# between 0 and 1, ends excluded
FRACTIONS = ("beta1", "beta2", "rho", "momentum", "fall", "adam_beta1", "adam_beta2")
# any real number
REAL = ("lr_power", "beta2_decay", "a", "b", "c")
# positive, of any size
POSITIVE = (
    "lr", "epsilon", "epsilon1", "epsilon2", "initial_accumulator", "initial_mean_square", "clip",
    "warmup", "lr_scale",
)  # fmt: skip


class FittedRule(NamedTuple):
    """A rule, its error, and the names of its fields that were fitted."""

    rule: Rule
    error: float
    names: tuple[str, ...]

    @property
    def numbers(self) -> Numbers:
        """The values of the fitted fields."""
        return {name: getattr(self.rule, name) for name in self.names}


def exact_rule(rule: Rule) -> FittedRule:
    """A rule whose hyperparameters were read off the steps, not fitted."""
    return FittedRule(rule, 0.0, ())


@np.errstate(all="ignore")
def fit(
    template: RuleTemplate, start: Numbers, data: FitData, iterations: int = ITERATIONS
) -> FittedRule | None:
    """The rule that comes nearest to the data, searched from ``start``.

    None if the rule does not allow the start values.
    """
    from scipy.optimize import least_squares  # an extra, and slow to import

    problem = _Problem(template, tuple(start), data)
    point = np.array([_coordinate(name, value) for name, value in start.items()])
    try:
        first = problem.fitted(point)
    except ValueError:
        return None
    if first.error < EXACT or not start:
        return first
    solution = least_squares(
        problem.residuals,
        point,
        jac=problem.derivatives,
        x_scale="jac",
        ftol=LEAST_GAIN,
        xtol=None,
        gtol=None,  # it is absolute, and residuals get very small
        max_nfev=int(EVALUATIONS * iterations),
        callback=_stop_if_exact,
    )
    better = root_mean_square(solution.fun) < first.error
    return problem.fitted(solution.x) if better else first


def _stop_if_exact(intermediate_result: Any) -> None:
    if root_mean_square(intermediate_result.fun) < EXACT:
        raise StopIteration


class _Problem(NamedTuple):
    """The least-squares problem: a point (numbers,) holds one coordinate for each free number."""

    template: RuleTemplate
    names: tuple[str, ...]
    data: FitData

    def rule(self, point: np.ndarray) -> Rule:
        """The rule at a point; ValueError if there is none."""
        pairs = zip(self.names, point, strict=True)
        return self.template.make({name: _value(name, x) for name, x in pairs})

    def fitted(self, point: np.ndarray) -> FittedRule:
        """The rule at a point and its error; ValueError if there is none."""
        rule = self.rule(point)
        return FittedRule(rule, self.data.error(rule), self.names)

    def residuals(self, point: np.ndarray) -> np.ndarray:
        """The residuals (size,) at a point; the largest possible where there is no rule."""
        try:
            return self.data.residuals(self.rule(point))
        except ValueError:
            return np.ones(self.data.size)

    def derivatives(self, point: np.ndarray) -> np.ndarray:
        """Central differences of the residuals, (size, numbers).

        SciPy's own differences have one relative width, at which rounding hides the effect of a
        number that moves little (Adagrad's epsilon). Here a first difference measures the effect;
        then the width is chosen that balances rounding and curvature.
        """
        here = self.residuals(point)
        columns = []
        for i, x in enumerate(point):
            width = 1e-5 * max(abs(x), 1e-2)
            column = self._difference(point, here, i, width)
            effect = root_mean_square(column) or UNIT_ROUNDOFF
            balanced = min(WIDEST * min(1.0, abs(x)), float(np.cbrt(UNIT_ROUNDOFF / effect)))
            if balanced > 4 * width:
                column = self._difference(point, here, i, balanced)
            columns.append(column)
        return np.stack(columns, axis=1)

    def _difference(self, point: np.ndarray, here: np.ndarray, i: int, width: float) -> np.ndarray:
        """A central difference in coordinate i; one-sided at the edge of what the rule allows."""
        ends = []
        for step in (width, -width):
            moved = point.copy()
            moved[i] += step
            try:
                ends.append((self.data.residuals(self.rule(moved)), step))
            except ValueError:
                ends.append((here, 0.0))
        (above, high), (below, low) = ends
        return (above - below) / (high - low) if high > low else np.zeros_like(here)


def _coordinate(name: str, value: float) -> float:
    """A hyperparameter as a coordinate without bounds; a value on its bound is moved off it."""
    if name in FRACTIONS:
        inside = min(max(value, TINY), 1 - UNIT_ROUNDOFF)
        return float(np.log(inside / (1 - inside)))
    if name in POSITIVE:
        return float(np.log(max(value, TINY)))
    return value


def _value(name: str, coordinate: float) -> float:
    """The hyperparameter that the coordinate stands for."""
    if name in FRACTIONS:
        return float(1 / (1 + np.exp(-coordinate)))
    if name in POSITIVE:
        return float(np.exp(coordinate))
    if name in REAL:
        return float(coordinate)
    return max(float(coordinate), 0.0)


@np.errstate(all="ignore")
def rank_starts(
    template: RuleTemplate, starts: Iterable[Numbers], data: FitData
) -> list[tuple[float, Numbers]]:
    """The start values that the rule allows, each with its error, the nearest first."""
    ranked = []
    for start in starts:
        try:
            ranked.append((data.error(template.make(start)), start))
        except ValueError:
            continue
    return sorted(ranked, key=lambda row: row[0])
