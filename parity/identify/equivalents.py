"""What cannot be told from a rule by what was asked."""

import dataclasses
from collections.abc import Callable

from samestep.reference import Rule

from . import decimals as simple

OTHERS = 2.0  # what a number is multiplied by, to see whether it makes any difference


def alike(rule: Rule, holds: Callable[[Rule], bool]) -> list[Rule]:
    """Rules with one field otherwise that hold as well, and other ways to say the same."""
    found = [other for other in simple.otherwise(rule, "") if repr(other) != repr(rule) and holds(other)]
    for field in dataclasses.fields(rule):
        for other in field.metadata.get("choices") or _numbers(rule, field.name):
            try:
                changed = rule.replace(**{field.name: other})
            except ValueError:
                continue
            if repr(changed) != repr(rule) and changed not in found and holds(changed):
                found.append(changed)
    return found


def _numbers(rule: Rule, name: str) -> list[float]:
    value = getattr(rule, name)
    if isinstance(value, int):
        return []
    return [*simple.defaults(rule, name, ""), 0.0, OTHERS * value or 1.0, value / OTHERS]
