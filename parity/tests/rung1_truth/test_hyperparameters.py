"""Rung 1, the facts about hyperparameters: their defaults, what they may be, and when they
matter."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from samestep.parity.measure import limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.parity.truth import corners, facts
from samestep.reference import RULES, Adadelta, Decay, Rule

pytestmark = pytest.mark.rung(1)

FIELDS = [(rule, field) for rule in RULES for field in dataclasses.fields(rule)]
STEPS = 8
LARGE = 0.75  # a rate above the cap of a relative one


def labels(chosen: list[Any]) -> list[str]:
    """Rule and field, as ``facts.INTERVALS`` has them."""
    return [f"{rule.__name__}.{field.name}" for rule, field in chosen]


NUMBERS = [(rule, field) for rule, field in FIELDS if "interval" in field.metadata]


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_defaults_intervals_and_needs_are_the_facts(kind: type[Rule]) -> None:
    """Defaults are those of a native or a paper; open ends of intervals and numbers beyond are
    refused.
    """
    checked = corners.hyperparameters(corners.RIGHT, kind.__name__)
    assert [str(fact) for fact in checked if not fact.holds] == []


def test_every_fact_is_of_a_field() -> None:
    """And every rule has its defaults from somewhere."""
    assert list(facts.DEFAULTS) == [rule.__name__ for rule in RULES]
    names = [name for names in facts.INTERVALS.values() for name in names]
    assert {*names, *facts.WHOLE_NUMBERS} <= set(labels(NUMBERS))
    fields = {name.rpartition(".")[2] for name in labels(FIELDS)}
    assert set(facts.MATTERS_WITH) <= {*fields, *labels(FIELDS)}


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=labels(NUMBERS))
def test_finite_step_is_taken_at_a_closed_end(
    kind: type[Rule], field: "dataclasses.Field[Any]"
) -> None:
    """On a matrix and on a vector."""
    interval = facts.interval_of(kind.__name__, field.name)
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    for value, closed in ((low, interval[0] == "["), (high, interval[-1] == "]")):
        if closed:
            moves = [moved(made(kind, field.name, value), flat) for flat in (False, True)]
            finite = [move is not None and bool(np.isfinite(move.path).all()) for move in moves]
            assert all(finite), f"{kind.__name__}.{field.name} = {value}"


SETTINGS: dict[
    str, dict[str, Any]
] = {  # in which fields that need others matter, and in which they do not
    "everything off": dict.fromkeys(
        ("weight_decay", "momentum", "epsilon", "epsilon1", "lambd"), 0.0
    )
    | {"adam": False, "bias_correction": False},
    "everything on": dict.fromkeys(
        ("weight_decay", "momentum", "epsilon", "epsilon1", "lambd"), 0.25
    ),
    "without bias correction": {"epsilon": 0.25, "bias_correction": False},
    "decay after the step": {"weight_decay": 0.25, "decay": Decay.AFTER},
}


UNSEEN = {
    # it moves the average alone, where nobody trains
    *(("ASGD.t0", setting) for setting in SETTINGS),
    # with neither epsilon nor decay it changes the length of a direction, which LAMB sets anyway,
    # unless theta is zero
    ("LAMB.bias_correction", "everything off"),
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=labels(FIELDS))
def test_field_matters_when_it_says_so(
    kind: type[Rule], field: "dataclasses.Field[Any]", setting: str
) -> None:
    """Another value moves parameters elsewhere, beyond rounding, exactly then."""
    names = set(kind.names()) - (
        {"epsilon"} if kind is Adadelta else set()
    )  # without epsilon it never starts
    values: dict[str, Any] = {
        name: value for name, value in SETTINGS[setting].items() if name in names
    }
    rule = kind(lr=LARGE, **values)
    others = [other for value in values_of(field) if (other := changed(rule, field.name, value))]
    if others and (f"{kind.__name__}.{field.name}", setting) not in UNSEEN:
        assert any(differs(rule, other) for other in others) == rule.is_active(field.name)


def made(kind: type[Rule], name: str, value: Any) -> Rule:
    """The rule with one hyperparameter set."""
    fields: dict[str, Any] = {name: value}
    return kind(**fields)


def values_of(field: "dataclasses.Field[Any]") -> Iterator[Any]:
    """Values of a field that differ much."""
    if "choices" in field.metadata:
        yield from field.metadata["choices"]
        return
    low, high = (float(bound) for bound in field.metadata["interval"][1:-1].split(","))
    yield from (value for value in (-1.0, 0.0, 0.125, 0.75, 2.0) if low <= value <= high)


def changed(rule: Rule, name: str, value: Any) -> Rule | None:
    """The rule with another value; None if it is the same, or may not be."""
    try:
        return None if getattr(rule, name) == value else rule.replace(**{name: value})
    except ValueError:  # such as nesterov without momentum
        return None


def differs(rule: Rule, other: Rule) -> bool:
    """Whether the two part on a matrix or, where that is moved otherwise, on a vector."""
    with np.errstate(over="ignore", invalid="ignore"):  # Muon's numbers may be any
        return any(not one_held(rule, other, flat) for flat in (False, True))


def one_held(rule: Rule, other: Rule, flat: bool) -> bool:
    """Whether rounding explains how far they are apart; what only one of them refuses they do not
    share.
    """
    one, two = moved(rule, flat), moved(other, flat)
    if one is None or two is None:
        return one is two
    return judge_tensor(one.start, one.path, two.path, one.bounds + two.bounds).holds


class Moved(NamedTuple):
    """Where a rule starts, where it goes, and how far rounding can have moved it."""

    start: np.ndarray
    path: np.ndarray
    bounds: np.ndarray


def moved(rule: Rule, flat: bool) -> Moved | None:
    """The rule on gradients that turn and that keep their sign, at a falling rate; None if it
    refuses what is flat.
    """
    start, gradients = (
        streams.suit(rule, streams.start()),
        streams.suit(rule, streams.gradients("spread", STEPS)),
    )
    if flat:
        start, gradients = start.ravel(), gradients.reshape(STEPS, -1)
    rates = streams.rates(rule.lr, STEPS)
    try:
        path = run_tensor(rule, start, gradients, "float64", rates)
        return Moved(start, path, limits.of_tensor(rule, start, gradients, "float64", rates))
    except ValueError:
        return None
