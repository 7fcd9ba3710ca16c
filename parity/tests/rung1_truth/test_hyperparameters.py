"""Rung 1, the facts about hyperparameters: their defaults, what they may be, and when they matter."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from samestep.parity.measure import limits, streams
from samestep.parity.measure.rule_run import run_tensor
from samestep.parity.measure.verdict import judge_tensor
from samestep.reference import RULES, Adadelta, Decay, Epsilon, Rule, ShapeScale, dialects
from samestep.reference.rule import flag

pytestmark = pytest.mark.rung(1)

FIELDS = [(rule, field) for rule in RULES for field in dataclasses.fields(rule)]
STEPS = 8
LARGE = 0.75  # a rate above the cap of a relative one

DEFAULTS: dict[str, tuple[str, dict[str, Any]]] = {  # whose they are, and what is otherwise here
    "SGD": ("pytorch:SGD(lr=0.01)", {}),
    "ASGD": ("pytorch:ASGD()", {}),
    "Rprop": ("pytorch:Rprop()", {}),
    "Adagrad": ("pytorch:Adagrad()", {}),
    "FTRL": ("keras:Ftrl()", {"decay": Decay.COUPLED}),
    "Adadelta": ("paper:Adadelta()", {}),
    "RMSprop": ("pytorch:RMSprop(lr=0.001, alpha=0.9)", {}),  # the slide's
    "Adam": ("paper:Adam()", {}),
    "Adamax": ("paper:Adamax()", {"epsilon": 1e-8}),  # the paper has none
    "NAdam": ("pytorch:NAdam()", {}),
    "RAdam": ("pytorch:RAdam()", {"epsilon_at": Epsilon.OUTSIDE}),
    "ScheduleFree": ("keras:ScheduleFreeAdamW()", {}),
    "Lion": ("paper:Lion(eta=0.0001)", {}),
    "LAMB": ("paper:LAMB(eta=0.001)", {}),
    "Adafactor": ("paper:Adafactor()", {}),
    "Muon": (
        "keras:Muon()",
        {  # K. Jordan's
            "lr": 0.02,
            "weight_decay": 0.0,
            "shape_scale": ShapeScale.ASPECT_RATIO,
            "lr_scale": 1.0,
            "adam_weight_decay": 0.0,
        },
    ),
}

INTERVALS = {  # of every number that may not be anything from 0 on
    "(-inf, inf)": ("Muon.a", "Muon.b", "Muon.c"),
    "(-inf, 0]": ("FTRL.lr_power", "Adafactor.beta2_decay"),
    "(0, inf)": ("FTRL.lr", "Adafactor.clip"),  # they are divided by
    "(0, 1)": ("Rprop.fall",),
    "(1, inf)": ("Rprop.rise",),
    "(0, 1]": ("ScheduleFree.beta1",),  # it is divided by
    "[0, 1]": (
        "SGD.momentum", "SGD.dampening", "RMSprop.momentum", "RMSprop.rho", "Adadelta.rho", "Lion.beta1",
        "Muon.momentum",
    ),
    "[0, 1)": (  # bias is corrected by 1 - beta^t
        "Adam.beta1", "Adam.beta2", "Adamax.beta1", "Adamax.beta2", "NAdam.beta1", "NAdam.beta2", "RAdam.beta1",
        "RAdam.beta2", "ScheduleFree.beta2", "Lion.beta2", "LAMB.beta1", "LAMB.beta2",
        "Muon.adam_beta1", "Muon.adam_beta2",
    ),
    "[0, 100)": ("Muon.ns_steps",),
}  # fmt: skip

UNSEEN = {"ASGD.t0"}  # it moves the average alone, where nobody trains


def labels(chosen: list[Any]) -> list[str]:
    """Rule and field, as INTERVALS has them."""
    return [f"{rule.__name__}.{field.name}" for rule, field in chosen]


NUMBERS = [(rule, field) for rule, field in FIELDS if "interval" in field.metadata]


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_paper_or_of_a_native(name: str) -> None:
    """The dialects' own defaults are read off the natives, or quoted from the papers."""
    (kind,) = (rule for rule in RULES if rule.__name__ == name)
    call, otherwise = DEFAULTS[name]
    assert kind() == dialects.read(call).replace(**otherwise)


def test_every_rule_has_its_defaults_from_somewhere() -> None:
    """And no interval is of a field that is not there."""
    assert list(DEFAULTS) == [rule.__name__ for rule in RULES]
    assert {name for names in INTERVALS.values() for name in names} <= set(labels(NUMBERS))


@pytest.mark.parametrize(("kind", "field"), NUMBERS, ids=labels(NUMBERS))
def test_numbers_end_where_they_must(kind: type[Rule], field: "dataclasses.Field[Any]") -> None:
    """At an end that belongs to it a finite step is taken; an open end and what is beyond are refused."""
    label = f"{kind.__name__}.{field.name}"
    interval = next(
        (interval for interval, names in INTERVALS.items() if label in names), "[0, inf)"
    )
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    taken = [
        end for end, closed in ((low, interval[0] == "["), (high, interval[-1] == "]")) if closed
    ]
    for value in taken:
        moves = [moved(made(kind, field.name, value), flat) for flat in (False, True)]
        assert all(now is not None and np.isfinite(now.path).all() for now in moves), (
            f"{label} = {value}"
        )
    whole = "whole" in field.metadata
    beyond = (
        (low - 1, high + 1)
        if whole
        else (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    )
    refused = {low, high, *beyond, math.nan} - set(taken)
    for value in refused:
        with pytest.raises(ValueError, match=f"{field.name} must"):
            made(kind, field.name, value)


SETTINGS: dict[
    str, dict[str, Any]
] = {  # in which fields that need others matter, and in which they do not
    "everything off": dict.fromkeys(
        ("weight_decay", "momentum", "epsilon", "epsilon1", "lambd"), 0.0
    )
    | {"adam": False},
    "everything on": dict.fromkeys(
        ("weight_decay", "momentum", "epsilon", "epsilon1", "lambd"), 0.25
    ),
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
    if others and f"{kind.__name__}.{field.name}" not in UNSEEN:
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
    """Whether rounding explains how far they are apart; what only one of them refuses they do not share."""
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
    """The rule on gradients that turn and that keep their sign, at a falling rate; None if it refuses what is flat."""
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


def test_rule_must_bring_its_own_three_parts() -> None:
    """What is only a rule says so, rather than standing still."""
    for part in (
        lambda: Rule().start(0.0, np),
        lambda: Rule().coefficients(1, 0.1),
        lambda: Rule().update(*"abcde"),
    ):
        with pytest.raises(NotImplementedError):
            part()


def test_flag_is_off_unless_it_is_said_to_be_on() -> None:
    """And a rule climbs only when it is told to."""
    assert [flag().default, flag(True).default, Rule().maximize] == [False, True, False]
