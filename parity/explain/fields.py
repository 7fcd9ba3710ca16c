"""Hypotheses about hyperparameters: another choice, another dialect's default, another number."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from samestep.parity.measure import cases
from samestep.parity.measure.trial import Trial
from samestep.parity.measure.wrong_rules import wrong_rules
from samestep.reference import Rule, dialects

from .hypothesis import Hypothesis, Proposals, Unknown
from .suspect import Suspect

SHARES = (
    0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97,
    0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999, 0.999999,
)  # fmt: skip
SIZES = (0.0, *(float(x) for x in np.logspace(-30, -18, 5)),
         *(float(x) for x in np.logspace(-17, 6, 70)))  # fmt: skip
REAL = tuple(float(x) for x in np.linspace(-10, 10, 81))
MOST_WHOLE = 12  # values of a hyperparameter that counts


def proposals(suspect: Suspect) -> Proposals:
    """All hypotheses about fields and formulas, the likely ones first."""
    yield from choices(suspect)
    yield from planted_mistakes(suspect)
    yield from numbers(suspect)


def choices(suspect: Suspect) -> Iterator[Hypothesis]:
    """The rule with one hyperparameter as somebody else has it: another place or kind, another
    dialect's default.
    """
    rule = suspect.rule
    seen = {rule}
    for name in rule.names():
        for value in (*_choices(rule, name), *default_values(rule, name), *_counts(rule, name)):
            changed = replaced(rule, {name: value})
            if changed is None or changed in seen:
                continue
            seen.add(changed)
            text = differing(suspect, changed, [name])
            yield Hypothesis(text, "", changed, suspect.trial, spelled_rule=changed)


def numbers(suspect: Suspect) -> Proposals:
    """The rule with another number in one field; where that changes nothing, with what it needs."""
    rule = suspect.rule
    for name in rule.names():
        grid = _grid(rule, name)
        if not grid:
            continue
        for also in _companions(rule, name):
            yield Unknown(_with_number(suspect, name, also), grid)


def _with_number(
    suspect: Suspect, name: str, also: dict[str, Any]
) -> Callable[[float, Trial], Hypothesis | None]:
    """Hypotheses for ``Unknown``: the rule with a number in a field, and these other fields."""
    rule = suspect.rule

    def changed_rule(number: float, trial: Trial) -> Hypothesis | None:
        changed = replaced(rule, {name: number, **also})
        if changed is None or changed == rule:
            return None
        text = differing(suspect, changed, [name, *also])
        return Hypothesis(text, "", changed, trial, spelled_rule=changed)

    return changed_rule


def _companions(rule: Rule, name: str) -> Iterator[dict[str, Any]]:
    """Fields that are changed along with a number: none, then each choice that hangs on it."""
    yield {}
    for field in dataclasses.fields(rule):
        if name not in field.metadata.get("matters_with", ()):
            continue
        for value in field.metadata.get("choices", ()):
            if value != getattr(rule, field.name):
                yield {field.name: value}


def _grid(rule: Rule, name: str) -> tuple[float, ...]:
    """Numbers to begin with; none for a field that is no number."""
    metadata = type(rule).__dataclass_fields__[name].metadata
    if "interval" not in metadata or "whole" in metadata:
        return ()
    interval = metadata["interval"]
    if interval.startswith("(-inf"):
        return REAL if interval.endswith("inf)") else tuple(x for x in REAL if x <= 0)
    if interval.endswith("inf)"):
        return SIZES if interval.startswith("[") else SIZES[1:]
    upper = 1.0 if interval.endswith("1]") else None
    lower = SHARES if interval.startswith("[") else SHARES[1:]
    return (*lower, upper) if upper else lower


def _choices(rule: Rule, name: str) -> tuple[Any, ...]:
    values: tuple[Any, ...] = type(rule).__dataclass_fields__[name].metadata.get("choices", ())
    return values


def _counts(rule: Rule, name: str) -> range:
    whole = "whole" in type(rule).__dataclass_fields__[name].metadata
    return range(MOST_WHOLE + 1) if whole else range(0)


def default_values(rule: Rule, name: str) -> Iterator[float]:
    """The positive default values that natives of this rule have for the hyperparameter."""
    for dialect in dialects.DIALECTS.values():
        for native in dialect.natives.values():
            if native.rule is not type(rule):
                continue
            for argument, field in native.arguments.items():
                value = native.defaults.get(argument)
                if field == name and isinstance(value, float) and value > 0:
                    yield value


def replaced(rule: Rule, values: dict[str, Any]) -> Rule | None:
    """The rule with other values; None if they do not go together, as nesterov and dampening."""
    with contextlib.suppress(ValueError):
        return rule.replace(**values)
    return None


def differing(suspect: Suspect, changed: Rule, names: list[str]) -> str:
    """The text of a hypothesis: the other rule, and in which fields it differs from the expected
    one; if that is assumed, the other rule alone.
    """
    if suspect.assumed:
        return repr(changed)
    rule = suspect.rule
    differences = [
        f"{name}={getattr(changed, name)!r} where {getattr(rule, name)!r} is expected"
        for name in names
        if getattr(changed, name) != getattr(rule, name)
    ]
    return f"{changed!r}, which has {' and '.join(differences)}"


def planted_mistakes(suspect: Suspect) -> Iterator[Hypothesis]:
    """The rule with each mistake of the table of wrong rules."""
    rule = suspect.rule
    for name, kind in wrong_rules(type(rule).__name__).items():
        text = f"{rule!r} with this mistake: {name.partition(': ')[2]}"
        yield Hypothesis(text, "", kind(**rule.to_dict()), suspect.trial)


def known_calls(lr: float, trial: Trial) -> Iterator[Hypothesis]:
    """Every call that the test suite tries, at this learning rate; of calls with one meaning the
    first.
    """
    for rule, call in rules_of_calls(lr).items():
        yield Hypothesis(f"{rule!r}, as in {call}", "", rule, trial)


def rules_of_calls(lr: float) -> dict[Rule, str]:
    """The rules of all calls that the test suite tries, at this learning rate, each with a call."""
    calls: dict[Rule, str] = {}
    for call in cases.CALLS:
        rule = replaced(dialects.read(call), {"lr": lr})
        if rule:
            calls.setdefault(rule, call)
    return calls
