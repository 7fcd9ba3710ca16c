"""Fit the variants of all families, the promising ones first.

A grid finds starts on a few steps. Then the order is: variants that a grid point already brings
near; all others a little, and the best of each rule to the end; variants with more numbers, started
from a fit with fewer; other points of the grid.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from samestep.reference import Rule

from .decimals import replace_if_allowed, round_values
from .family import TINY, Numbers, Variant, choices_of
from .fit import EXACT, ITERATIONS, POSITIVE, FittedRule, fit, rank_starts
from .fit_data import FitData, fit_data
from .observe import Observation

GRID_STEPS = 7  # steps on which the points of a grid are tried
FIRST_STEPS = 10  # steps of the first fit; the learning rate has changed by then
MIDDLE_STEPS = 16  # steps of the second fit; the last is made on all
NEAR = 1e-3  # an error so small that a variant is fitted at once
ALMOST = 1e-4  # an error so small that the fit is started again where it ended
RESTARTS = 3
LEAST_GAIN = 1e-3  # a fit that makes the error smaller by less than this share has ended
HOPELESS = 3e-2  # an error too large to go on after the first fit
FIRST_ITERATIONS = 8
MANY_ITERATIONS = 150  # for what is near: valleys are long
BEST_SLOW = 12  # variants of a rule whose elements influence each other that are fitted a little
BEST_OF_RULE = 6  # variants of a rule that are fitted to the end
BEST_AGAIN = 8  # variants that are extended and fitted from other starts
STARTS = 4  # points of a grid that are fitted from; some valleys lead nowhere
VANISHED = 1e-20  # a number this small has no effect any more, so that no fit can move it
RESEEDS = [10.0**power for power in range(-12, 1)]  # other values for it


class Candidate(NamedTuple):
    """A variant, the starts of its grid (the nearest first), and the last error.

    ``order`` is its place among all variants, ``fitted`` the result of the last fit.
    """

    error: float
    order: int
    variant: Variant
    starts: list[tuple[float, Numbers]]
    fitted: FittedRule | None = None

    @property
    def rank(self) -> tuple[float, int]:
        """The key to sort by: the error, then the order."""
        return self.error, self.order


def search(observation: Observation, variants: Sequence[Variant]) -> Iterator[FittedRule]:
    """Fitted rules in the order in which they are found; see the module's docstring."""
    waiting: list[Candidate] = []
    for candidate in _rank_on_grids(observation, variants):
        if candidate.error > NEAR:
            waiting.append(candidate)
            continue
        for fitted in _fit_from(observation, candidate.variant, candidate.starts[0][1]):
            yield fitted
            yield from _with_other_epsilon_place(observation, candidate.variant, fitted)
    done: list[Candidate] = []
    for candidate in _fit_best(observation, waiting):
        if candidate.fitted:
            yield candidate.fitted
            yield from _with_other_epsilon_place(observation, candidate.variant, candidate.fitted)
            done.append(candidate)
    best = sorted(done, key=lambda candidate: candidate.rank)[:BEST_AGAIN]
    for candidate in best:
        for variant, start in _extend(observation, candidate, waiting):
            yield from _fit_from(observation, variant, start)
    for candidate in best:
        for _, start in candidate.starts[1:STARTS]:
            yield from _fit_from(observation, candidate.variant, start)


def _with_other_epsilon_place(
    observation: Observation, variant: Variant, fitted: FittedRule
) -> Iterator[FittedRule]:
    """The same with epsilon elsewhere, if it comes near.

    Beside a mean square that starts far above it, a few steps hardly tell where epsilon is.
    """
    fits_epsilon = "epsilon_at" in variant.fixed and "epsilon" in fitted.names
    if not fits_epsilon or not EXACT <= fitted.error <= ALMOST:
        return
    data = _data(observation, variant, MIDDLE_STEPS)
    for place in choices_of(variant.kind, "epsilon_at"):
        if place is not variant.fixed["epsilon_at"]:
            moved = dataclasses.replace(variant, fixed={**variant.fixed, "epsilon_at": place})
            template = moved.template
            seeds = [{**fitted.numbers, "epsilon": seed} for seed in RESEEDS]
            ranked = rank_starts(template, seeds, data)
            yield from _fit_from(observation, moved, ranked[0][1]) if ranked else ()


def _rank_on_grids(observation: Observation, variants: Sequence[Variant]) -> Iterator[Candidate]:
    """The variants for which there are data and a start that the rule allows."""
    for order, variant in enumerate(variants):
        data = _data(observation, variant, GRID_STEPS)
        if data.thetas:
            starts = rank_starts(variant.template, variant.starts(), data)
            if starts:
                yield Candidate(starts[0][0], order, variant, starts)


def _fit_best(observation: Observation, waiting: Sequence[Candidate]) -> Iterator[Candidate]:
    """Fit all a little, and those that come near to the end; then the best of each rule."""
    quick = [candidate for candidate in waiting if candidate.variant.family.elementwise]
    slow = [candidate for candidate in waiting if not candidate.variant.family.elementwise]
    chosen = [*_best_of_each_rule(slow, BEST_SLOW), *quick]
    rough: list[Candidate] = []
    for candidate in sorted(chosen, key=lambda candidate: candidate.rank):
        fitted = _fit_briefly(observation, candidate.variant, candidate.starts[0][1])
        if fitted is None:
            continue
        tried = candidate._replace(error=fitted.error, fitted=fitted)
        if fitted.error > NEAR:
            rough.append(tried)
        else:
            yield _finish(observation, tried, fitted)
    for tried in _best_of_each_rule(rough, BEST_OF_RULE):
        if tried.fitted:
            yield _finish(observation, tried, tried.fitted)


def _finish(observation: Observation, candidate: Candidate, fitted: FittedRule) -> Candidate:
    full = _fit_fully(observation, candidate.variant, fitted)
    return candidate._replace(error=full.error, fitted=full)


def _best_of_each_rule(candidates: Sequence[Candidate], most: int) -> Iterator[Candidate]:
    """The nearest first, at most so many of each kind of rule."""
    counts: Counter[type[Rule]] = Counter()
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        counts[candidate.variant.kind] += 1
        if counts[candidate.variant.kind] <= most:
            yield candidate


def _extend(
    observation: Observation, candidate: Candidate, waiting: Sequence[Candidate]
) -> Iterator[tuple[Variant, Numbers]]:
    """Variants with more free numbers than one that came near, started from its numbers."""
    fitted = candidate.fitted
    if not fitted or not EXACT < fitted.error <= HOPELESS:
        return
    for wider in waiting:
        names = tuple(wider.starts[0][1])
        if wider.variant.template == candidate.variant.template and set(names) > set(fitted.names):
            data = _data(observation, wider.variant, MIDDLE_STEPS)
            yield wider.variant, reseed_vanished(fitted._replace(names=names), data)


def round_fitted(
    fitted: FittedRule, observation: Observation, names: Sequence[str]
) -> Iterator[Rule]:
    """The fitted rule in short decimals that fit these probes about as well; at last unrounded."""
    data = fit_data(observation, names, MIDDLE_STEPS, elementwise=True)
    for rule in round_values(fitted.rule, fitted.names):
        if data.error(rule) <= 2 * fitted.error:
            yield rule
    yield fitted.rule


def _data(observation: Observation, variant: Variant, steps: int) -> FitData:
    names = [name for name in variant.family.probes if name in observation.trial.start]
    return fit_data(observation, names, steps, variant.family.elementwise)


def _fit_from(observation: Observation, variant: Variant, start: Numbers) -> Iterator[FittedRule]:
    fitted = _fit_briefly(observation, variant, start)
    if fitted:
        yield _fit_fully(observation, variant, fitted)


def _fit_briefly(observation: Observation, variant: Variant, start: Numbers) -> FittedRule | None:
    """A few iterations on a few steps."""
    data = _data(observation, variant, FIRST_STEPS)
    return fit(variant.template, start, data, FIRST_ITERATIONS)


def _fit_fully(observation: Observation, variant: Variant, fitted: FittedRule) -> FittedRule:
    """Refit on more steps, at last on all; with more iterations if the error is already small.

    What is almost exact is fitted again from where it ended, as long as that gains something: a
    valley with a flat floor. Nothing is done if the error is above ``HOPELESS``.
    """
    if fitted.error > HOPELESS:
        return fitted
    all_steps = observation.trial.steps
    for steps in (MIDDLE_STEPS, all_steps, *[all_steps] * RESTARTS):
        data = _data(observation, variant, steps)
        iterations = ITERATIONS if fitted.error > NEAR else MANY_ITERATIONS
        start = reseed_vanished(fitted, data)
        before = data.error(fitted.rule)
        fitted = fit(variant.template, start, data, iterations) or fitted
        if fitted.error < EXACT:
            return drop_negligible(fitted, data)
        ended = fitted.error > ALMOST or fitted.error > (1 - LEAST_GAIN) * before
        if steps == all_steps and ended:
            break
    return fitted


def drop_negligible(fitted: FittedRule, data: FitData) -> FittedRule:
    """Set fitted numbers to almost zero, or to zero, if that does not increase the error.

    A fit that is exact leaves them anywhere below what the mean error shows, and a few elements
    would show more. Numbers that are less than almost zero become zero.
    """
    for name, value in fitted.numbers.items():
        smaller = replace_if_allowed(fitted.rule, {name: 0.0 if value < TINY else TINY})
        if name not in POSITIVE or smaller is None:
            continue
        error = data.error(smaller)
        if error <= fitted.error:
            fitted = fitted._replace(rule=smaller, error=error)
    return fitted


def reseed_vanished(fitted: FittedRule, data: FitData) -> Numbers:
    """The fitted numbers; one that vanished gets the value with the least error.

    On a logarithmic scale no fit can move it away from zero.
    """
    numbers = fitted.numbers
    for name, value in fitted.numbers.items():
        if name in POSITIVE and value < VANISHED:
            errors = {
                seed: data.error(fitted.rule.replace(**{name: seed})) for seed in [value, *RESEEDS]
            }
            numbers[name] = min(errors, key=lambda seed: errors[seed])
    return numbers
