"""Fit the free hyperparameters of a rule to the steps of an unknown optimizer, by least squares.

The result is a proposal. How near it comes decides nothing.
"""

from collections.abc import Callable, Iterable, Sequence
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
# No decay rate nearer to 1 is proposed. It is the largest number below 1 that float32 has: there,
# where frameworks hold decay rates, a nearer one would be 1. In float64 it would imitate
# optimizers that are no rule: towards 1, Adam's mean of squares weighs all steps alike.
CLOSEST_TO_ONE = 1 - 2.0**-24
WIDEST = 0.1  # half the width of a central difference: of a number that may be zero, or a logarithm

# from 0 to CLOSEST_TO_ONE
FRACTIONS = ("beta1", "beta2", "rho", "momentum", "fall", "adam_beta1", "adam_beta2")
# any real number
REAL = ("lr_power", "beta2_decay", "a", "b", "c")
# positive, of any size
POSITIVE = (
    "lr", "epsilon", "epsilon1", "epsilon2", "initial_accumulator", "initial_mean_square", "clip",
    "warmup", "lr_scale",
)  # fmt: skip


class FittedRule(NamedTuple):
    """A rule, its error, and the names of its fields that were fitted.

    ``data`` are the steps that it was fitted to, None if its numbers were read off the steps.
    """

    rule: Rule
    error: float
    names: tuple[str, ...]
    data: FitData | None = None

    @property
    def numbers(self) -> Numbers:
        """The values of the fitted fields."""
        return {name: getattr(self.rule, name) for name in self.names}


def exact_rule(rule: Rule) -> FittedRule:
    """A rule whose hyperparameters were read off the steps, not fitted."""
    return FittedRule(rule, 0.0, ())


@np.errstate(all="ignore")
def fit(
    template: RuleTemplate,
    start: Numbers,
    data: FitData,
    iterations: int = ITERATIONS,
    exact: float = EXACT,
) -> FittedRule | None:
    """The rule that comes nearest to the data, searched from ``start``.

    The search ends at an error of ``exact``. None if the rule does not allow the start values.
    """
    from scipy.optimize import least_squares  # an extra, and slow to import

    problem = _Problem(template, tuple(start), data)
    point = np.array([_coordinate(name, value) for name, value in start.items()])
    try:
        first = problem.fitted(point)
    except ValueError:
        return None
    if first.error < exact or not start:
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
        callback=_stop_at(exact),
    )
    better = root_mean_square(solution.fun) < first.error
    return problem.fitted(solution.x) if better else first


def _stop_at(exact: float) -> Callable[..., None]:
    """A function that ends SciPy's search at this error."""

    def stop(intermediate_result: Any) -> None:
        if root_mean_square(intermediate_result.fun) < exact:
            raise StopIteration

    return stop


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
        return FittedRule(rule, self.data.error(rule), self.names, self.data)

    def residuals(self, point: np.ndarray) -> np.ndarray:
        """The residuals (size,) at a point; the largest possible where there is no rule."""
        try:
            return self.data.residuals([self.rule(point)])[0]
        except ValueError:
            return np.ones(self.data.size)

    def derivatives(self, point: np.ndarray) -> np.ndarray:
        """Central differences of the residuals, (size, numbers).

        SciPy's own differences have one relative width, at which rounding hides the effect of a
        number that moves little (Adagrad's epsilon). Here a first difference measures the effect;
        then the width is chosen that balances rounding and curvature.
        """
        widths = np.array([1e-5 * max(abs(x), 1e-2) for x in point])
        columns = self._differences(point, range(len(point)), widths)
        effects = root_mean_square(columns.T)
        effects = np.where(effects > 0, effects, UNIT_ROUNDOFF)
        balanced = np.minimum(
            WIDEST * np.minimum(1.0, np.abs(point)), np.cbrt(UNIT_ROUNDOFF / effects)
        )
        again = np.flatnonzero(balanced > 4 * widths)
        if len(again):
            columns[:, again] = self._differences(point, again, balanced[again])
        return columns

    def _differences(
        self, point: np.ndarray, numbers: Sequence[int] | np.ndarray, widths: np.ndarray
    ) -> np.ndarray:
        """Central differences in these coordinates, (size, len(numbers)).

        They are one-sided at the edge of what the rule allows.
        """
        rules = [self.rule(point)]
        rows = []  # for each end: the row of its residuals, and the step that leads there
        for i, width in zip(numbers, widths, strict=True):
            for step in (width, -width):
                moved = point.copy()
                moved[i] += step
                try:
                    rules.append(self.rule(moved))
                    rows.append((len(rules) - 1, step))
                except ValueError:
                    rows.append((0, 0.0))
        residuals = self.data.residuals(rules)
        columns = [_slope(residuals, *ends) for ends in zip(rows[::2], rows[1::2], strict=True)]
        return np.stack(columns, axis=1)


def _slope(residuals: np.ndarray, above: tuple[int, float], below: tuple[int, float]) -> np.ndarray:
    """The slope between two rows of residuals; each is given by its index and its place."""
    (high_row, high), (low_row, low) = above, below
    if high <= low:
        return np.zeros(residuals.shape[1])
    return np.asarray((residuals[high_row] - residuals[low_row]) / (high - low))


@np.errstate(all="ignore")
def accuracies(fitted: FittedRule) -> Numbers:
    """How well the data determine each fitted number: the relative accuracy of ``round_value``.

    It is what the error of the fit leaves open while all other numbers move along. It differs much
    between numbers: beside a large accumulator a small epsilon shows in a few digits alone.
    """
    if fitted.data is None:
        return {}
    fixed = {name: getattr(fitted.rule, name) for name in fitted.rule.names()}
    fixed = {name: value for name, value in fixed.items() if name not in fitted.names}
    problem = _Problem(RuleTemplate(type(fitted.rule), fixed), fitted.names, fitted.data)
    point = np.array([_coordinate(name, value) for name, value in fitted.numbers.items()])
    slopes = problem.derivatives(point)
    lengths = np.maximum(np.sqrt(np.sum(slopes**2, axis=0)), UNIT_ROUNDOFF)
    inverse = np.linalg.pinv(slopes / lengths)
    noise = max(fitted.error, UNIT_ROUNDOFF)
    spreads = noise * np.sqrt(np.sum(inverse**2, axis=1)) / lengths
    by_name = {}
    for (name, value), spread in zip(fitted.numbers.items(), spreads, strict=True):
        relative = name in FRACTIONS or name in POSITIVE
        by_name[name] = float(spread) if relative else float(spread) / max(abs(value), TINY)
    return by_name


def _coordinate(name: str, value: float) -> float:
    """A hyperparameter as a coordinate without bounds; a value on its bound is moved off it."""
    if name in FRACTIONS:
        inside = min(max(value, TINY), CLOSEST_TO_ONE)
        return float(np.log(inside / (1 - inside)))
    if name in POSITIVE:
        return float(np.log(max(value, TINY)))
    return value


def _value(name: str, coordinate: float) -> float:
    """The hyperparameter that the coordinate stands for."""
    if name in FRACTIONS:
        return min(float(1 / (1 + np.exp(-coordinate))), CLOSEST_TO_ONE)
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
    allowed = []
    for start in starts:
        try:
            allowed.append((template.make(start), start))
        except ValueError:
            continue
    if not allowed:
        return []
    errors = data.errors([rule for rule, _ in allowed])
    ranked = [(float(error), start) for error, (_, start) in zip(errors, allowed, strict=True)]
    return sorted(ranked, key=lambda row: row[0])
