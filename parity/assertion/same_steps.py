"""Assert that your own optimizer takes the steps of a rule, of a call as text, or of another
optimizer.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from samestep.parity.explain.explanation import explain, explain_by, known_rule
from samestep.parity.explain.fields import rules_of_calls
from samestep.parity.explain.observed import Observed
from samestep.parity.explain.suspect import Suspect
from samestep.parity.measure.nearest_wrong import Wrong
from samestep.parity.measure.streams import PATTERNS
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import REFUSED_WITHIN, Trial, accepted, describe_shapes
from samestep.parity.measure.verdict import Verdict, judge_tensor
from samestep.parity.runners import factories, specs
from samestep.parity.runners.factories import OptimizerFactory
from samestep.parity.runners.result import GradientWritten, RunOptions
from samestep.reference import Rule

from .expected import ByOptimizer, ByRule, Expected, nearest_wrong

DTYPES = ("float32", "float64")
STREAMS = tuple(PATTERNS)
MOST_PLACES = 4  # places that a message shows


class Place(NamedTuple):
    """Where a run was first beyond its limit."""

    tensor: str
    dtype: str
    mode: str
    verdict: Verdict

    def __str__(self) -> str:
        return f"stream {self.tensor}, {self.dtype}, {self.mode}: first {self.verdict}"


def assert_same_steps(
    optimizer: Any,
    expected: Any,
    *,
    dtypes: Sequence[str] = DTYPES,
    streams: Sequence[str] = STREAMS,
    schedule: bool = True,
) -> None:
    """Assert that an optimizer takes the expected steps, within a limit that is derived from
    rounding alone.

    ``optimizer`` is a function of the parameters (PyTorch), a function of nothing (Keras), or a
    Keras optimizer, which is made anew for every trial. ``expected`` is a rule, a call as text such
    as ``"keras:Adam(learning_rate=1e-3)"``, or another optimizer. Each stream of gradients goes to
    a tensor of its own, sixty steps in each of ``dtypes`` ("float32", "float64"). The learning rate
    falls on the way unless ``schedule`` is off. Keras runs eagerly and in a graph.

    AssertionError says where the steps first differ (stream, dtype, step, element, both values),
    the distance and the limit as shares of the path, and what takes the optimizer's steps instead,
    if that is known. It is also an AssertionError if the limit would let the nearest wrong rule
    through, or if the optimizer writes to a gradient. ValueError if an argument is none of these.
    """
    _check_choice("dtypes", dtypes, DTYPES)
    _check_choice("streams", streams, STREAMS)
    factory = factories.from_object(optimizer)
    target = _expected(factory, expected, streams, schedule)
    for each in (factory, *target.factories):
        target.trial = _accepted(each, target.trial, dtypes[0])
    check = _Check(factory, target)
    try:
        wrong = nearest_wrong(target, dtypes)
        places = list(itertools.chain.from_iterable(check.places_beyond(dtype) for dtype in dtypes))
    except GradientWritten as written:
        raise AssertionError(str(written)) from None
    if places:
        raise AssertionError("\n".join(check.message(places, wrong)))
    if wrong is None or not wrong.rejected:
        raise AssertionError(_shows_nothing(factory, target, wrong, dtypes))


def _expected(
    mine: OptimizerFactory, expected: Any, chosen: Sequence[str], schedule: bool
) -> Expected:
    if isinstance(expected, str):
        expected = specs.rule(expected)
    if isinstance(expected, Rule):
        return ByRule(expected, chosen, schedule)
    return ByOptimizer(mine, factories.from_object(expected), chosen, schedule)


def _accepted(factory: OptimizerFactory, trial: Trial, dtype: str) -> Trial:
    """The trial without the shapes that the optimizer refuses."""

    def attempt(given: Trial) -> Exception | None:
        try:
            factory.run(given, dtype, RunOptions(factory.modes[0]))
        except Exception as failure:  # a user's optimizer may raise anything
            return failure
        return None

    failure = attempt(trial.first(REFUSED_WITHIN))
    return accepted(trial, f"{factory.name} refuses them", failure, attempt) if failure else trial


class _Check:
    """A user's optimizer and what is expected of it."""

    def __init__(self, factory: OptimizerFactory, expected: Expected) -> None:
        self.factory = factory
        self.expected = expected

    def run(self, trial: Trial, dtype: str, mode: str) -> Trajectory:
        """The optimizer's trajectory; GradientWritten if it writes to a gradient."""
        return self.factory.run(trial, dtype, RunOptions(mode, watch_gradients=True)).trajectory

    def places_beyond(self, dtype: str) -> Iterator[Place]:
        """Each tensor and mode that goes beyond its limit."""
        expected = self.expected.trajectory(dtype)
        limits = self.expected.limits(dtype)
        for mode in self.factory.modes:
            actual = self.run(self.expected.trial, dtype, mode)
            for name, start in self.expected.trial.start.items():
                verdict = first_beyond(
                    start, expected.thetas[name], limits.thetas[name], actual.thetas[name]
                )
                if verdict:
                    yield Place(name, dtype, mode, verdict)

    def message(self, places: list[Place], wrong: Wrong | None) -> Iterator[str]:
        """The message of a failure, line by line."""
        title = f"{self.factory.name} ({self.factory.title})"
        yield f"{title} does not take the steps of {self.expected.name}; expected against got:"
        yield from (f"  {place}" for place in places[:MOST_PLACES])
        if len(places) > MOST_PLACES:
            yield f"  and {len(places) - MOST_PLACES} more"
        yield f"Gradients were fed {'; '.join(describe_shapes(self.expected.trial))}."
        if wrong:
            word = "rejected" if wrong.rejected else "NOT rejected"
            yield (
                f"The nearest wrong rule ({wrong.name}) is {wrong.distance:.3g} of the path "
                f"away and {word}."
            )
        yield from self._reasons(places[-1])

    def _reasons(self, place: Place) -> Iterator[str]:
        """What the optimizer does instead, in the dtype and mode of one place."""
        rule = self.expected.rule
        rate = self.factory.first_rate()
        if rule and rate is not None and np.float32(rate) != np.float32(rule.lr):
            yield f"Its learning rate is {rate!r} where {rule.lr!r} is expected."
        lr = rate if rate is not None else rule.lr if rule else 1.0
        actual = self.run(self.expected.trial, place.dtype, place.mode)
        observed = Observed(
            self.expected.trial,
            place.dtype,
            self.expected.trajectory(place.dtype),
            self.expected.limits(place.dtype),
            actual,
        )
        if rule:
            yield self._explanation(observed, rule, place)
            return
        yield from self._of_unknown(observed, lr)

    def _explanation(self, observed: Observed, rule: Rule, place: Place) -> str:
        """What takes the steps of the optimizer, which should be the rule's."""

        def run_alone(trial: Trial) -> Trajectory:
            return self.run(trial, place.dtype, place.mode)

        home = self.factory.library
        suspect = Suspect(rule, observed.trial, place.dtype, observed.first_step + 1, home=home)
        explanation = explain(observed, suspect, run_alone)
        if explanation:
            return f"{self.factory.name}: it takes the steps of {explanation.text}."
        return f"{self.factory.name}: nothing that was tried takes its steps."

    def _of_unknown(self, observed: Observed, lr: float) -> Iterator[str]:
        """The known calls whose steps the two take, where no rule is expected.

        What is none of them itself is explained by the call that the other one takes.
        """
        names = (self.factory.name, f"{self.expected.name}, which is expected")
        both = (observed, dataclasses.replace(observed, actual=observed.expected))
        rules = [known_rule(each, lr) for each in both]
        known = [rule for rule in rules if rule]
        for name, each, rule in zip(names, both, rules, strict=True):
            if rule:
                call = rules_of_calls(lr)[rule]
                yield f"{name}: it takes the steps of {rule!r}, as in {call}."
                continue
            explanation = explain_by(known[:1], each)
            if explanation:
                yield f"{name}: it takes the steps of {explanation.text}."
            else:
                yield f"{name}: nothing that was tried takes its steps."


def first_beyond(
    start: np.ndarray, expected: np.ndarray, bounds: np.ndarray, actual: np.ndarray
) -> Verdict | None:
    """The verdict at the first step that goes beyond its limit, None if none does; arrays are
    (steps, *shape).
    """
    if judge_tensor(start, expected, actual, bounds).holds:
        return None
    for count in range(1, len(expected) + 1):
        verdict = judge_tensor(start, expected[:count], actual[:count], bounds[:count])
        if not verdict.holds:
            return verdict
    return None


def _shows_nothing(
    factory: OptimizerFactory, expected: Expected, wrong: Wrong | None, dtypes: Sequence[str]
) -> str:
    """The message where the optimizer is right, but the trial could not have shown a wrong one."""
    start = (
        f"{factory.name} stays within the limit of {expected.name}, but this shows "
        f"nothing: in {' and '.join(dtypes)} "
    )
    if wrong is None:
        return (
            start + "nothing that is wrong on purpose can be told from it; try all streams "
            "and dtypes"
        )
    return start + (
        f"the limit {wrong.limit:.3g} lets a wrong rule through ({wrong.name}), "
        f"{wrong.distance:.3g} of the path away; "
        "try all streams and dtypes, or hyperparameters that make a difference"
    )


def _check_choice(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    several = isinstance(given, Iterable) and not isinstance(given, str)
    if not several or not given or not set(given) <= set(known):
        raise ValueError(f"{what} must be some of {', '.join(known)}, got {given!r}")
