"""Write fitted hyperparameters as a person would: short decimals, defaults, zeros."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from samestep.reference import Rule, dialects

from .fit import FRACTIONS

DIGITS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12)  # accuracies of fitted numbers, as powers of ten
MOST_DIGITS = 17  # a double needs no more


def number_fields(rule: Rule) -> list[str]:
    """The names of the fields that hold real numbers."""
    fields = dataclasses.fields(rule)
    return [field.name for field in fields if isinstance(getattr(rule, field.name), float)]


def round_values(rule: Rule, names: Sequence[str] = ()) -> Iterator[Rule]:
    """The rule with these numbers (default: all) as short decimals, from coarse to fine."""
    seen: set[Rule] = set()
    for digits in DIGITS:
        accuracy = 10.0**-digits
        values = {
            name: round_value(name, getattr(rule, name), accuracy)
            for name in names or number_fields(rule)
        }
        rounded = replace_if_allowed(rule, values)
        if rounded and rounded not in seen:
            seen.add(rounded)
            yield rounded


def round_value(name: str, value: float, accuracy: float) -> float:
    """The shortest decimal within a relative accuracy of a hyperparameter's value.

    A fraction near 1, such as 0.999, is taken by its distance from 1. A fraction that is almost
    zero becomes zero.
    """
    if name not in FRACTIONS:
        return shortest_decimal(value, accuracy * abs(value))
    if value < accuracy**2:
        return 0.0
    return shortest_decimal(value, accuracy * min(value, 1 - value))


def shortest_decimal(value: float, room: float) -> float:
    """The decimal with the fewest digits that is no farther than ``room`` from the value."""
    for digits in range(1, MOST_DIGITS):
        short = float(f"{Decimal(value):.{digits - 1}e}")
        if abs(short - value) <= room:
            return short
    return value


def simplify(rule: Rule, holds: Callable[[Rule], bool], dialect: str) -> Rule:
    """The rule with each number as a default, zero or a shorter decimal, where that holds too."""
    for name in number_fields(rule):
        for value in _simpler_values(rule, name, dialect):
            simpler = replace_if_allowed(rule, {name: value})
            if simpler and simpler != rule and holds(simpler):
                rule = simpler
                break
    return rule


def _simpler_values(rule: Rule, name: str, dialect: str) -> Iterator[float]:
    value = getattr(rule, name)
    defaults = known_defaults(rule, name, dialect)
    if value == defaults[0]:
        return
    yield from defaults
    yield 0.0
    for digits in range(1, MOST_DIGITS):
        short = float(f"{value:.{digits - 1}e}")
        if short == value:
            return
        yield short


def known_defaults(rule: Rule, name: str, dialect: str) -> list[float]:
    """The defaults of a field: of natives in ``dialect``, of other natives, of the rule itself."""
    defaults: list[float] = []
    for known in sorted(dialects.DIALECTS, key=lambda known: known != dialect):
        for native in dialects.DIALECTS[known].natives.values():
            if native.rule is not type(rule):
                continue
            arguments = [word for word, field in native.arguments.items() if field == name]
            values = [native.defaults.get(argument) for argument in arguments]
            defaults += [value for value in values if isinstance(value, float)]
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(rule)}
    return list(dict.fromkeys([*defaults, fields[name].default]))


def replace_if_allowed(rule: Rule, values: Mapping[str, Any]) -> Rule | None:
    """The rule with these values; None if it does not allow them."""
    try:
        return rule.replace(**values)
    except ValueError:
        return None


def text_length(rule: Rule) -> int:
    """The number of characters that the rule's numbers take."""
    return sum(len(repr(getattr(rule, name))) for name in number_fields(rule))
