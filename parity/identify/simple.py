"""Fitted numbers as people write them: the shortest decimals, and none that makes no difference."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from samestep.reference import Adafactor, Adagrad, Epsilon, Rule, ScheduleFree, dialects

from .fit import UNIT
from .readings import MACHINE

DIGITS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12)  # accuracies, as powers of ten, at which fitted numbers are read


SPLIT = 3  # digits of each of two numbers that only their sum tells
SURE = 1e-12  # the accuracy of that sum


def numbers(rule: Rule) -> list[str]:
    """The fields that are real numbers and matter."""
    return [field.name for field in dataclasses.fields(rule) if isinstance(getattr(rule, field.name), float)]


def rounded(rule: Rule, names: Sequence[str] = ()) -> Iterator[Rule]:
    """The rule with those numbers, else all, as short decimals, from coarse to fine."""
    seen: set[Rule] = set()
    for digits in DIGITS:
        told = {name: _short(name, getattr(rule, name), 10.0**-digits) for name in names or numbers(rule)}
        found = _replaced(rule, told)
        if found and found not in seen:
            seen.add(found)
            yield found


def simplified(rule: Rule, holds: Callable[[Rule], bool], dialect: str) -> Rule:
    """The rule with each number replaced by a default of somebody's, zero, or a shorter decimal, where that holds."""
    for name in numbers(rule):
        for value in _simpler(rule, name, dialect):
            other = _replaced(rule, {name: value})
            if other and other != rule and holds(other):
                rule = other
                break
    return rule


def otherwise(rule: Rule, dialect: str) -> Iterator[Rule]:
    """Other ways to say about the same, where what can be seen leaves a choice."""
    if isinstance(rule, Adagrad) and (rule.epsilon_at is Epsilon.INSIDE or not rule.epsilon):
        inside = rule.epsilon_at is Epsilon.INSIDE and rule.epsilon
        whole = rule.initial_accumulator + inside
        plain = rule.replace(epsilon_at=Epsilon.INSIDE)
        for epsilon in defaults(rule, "epsilon", dialect):
            if 0 < epsilon < whole:
                start = shortest(whole - epsilon, 2.0**-20 * epsilon)
                yield from rounded(plain.replace(epsilon=epsilon, initial_accumulator=start))
        for start, epsilon in _splits(whole):
            yield from rounded(plain.replace(epsilon=epsilon, initial_accumulator=start))
        yield from rounded(plain.replace(epsilon=whole, initial_accumulator=0.0))
        yield from rounded(plain.replace(epsilon=0.0, initial_accumulator=whole, epsilon_at=Epsilon.OUTSIDE))
    if isinstance(rule, ScheduleFree):  # as Keras takes it, beta1 makes no difference
        yield from rounded(rule.replace(beta1=defaults(rule, "beta1", dialect)[0]))
    if isinstance(rule, Adafactor):
        usual = defaults(rule, "epsilon1", dialect)  # so small that no fit can tell it to more than a digit
        places = {Epsilon.INSIDE: usual, Epsilon.FLOOR: [MACHINE["float32"], *usual]}
        for each in rounded(rule.replace(epsilon1=0.0)):
            for place, values in places.items():
                yield from (each.replace(epsilon1=value, epsilon1_at=place) for value in values)


def _splits(whole: float) -> Iterator[tuple[float, float]]:
    """Short decimals whose sum is a number."""
    for start, rest in itertools.chain(_in_float32(whole), _cuts(whole)):
        short = float(f"{rest:.{SPLIT - 1}e}")
        if rest > SURE * whole and abs(short - rest) <= SURE * whole:
            yield start, short


def _in_float32(whole: float) -> Iterator[tuple[float, float]]:
    """Every short decimal, and what it lacks where float32 has it: Keras' sum in float64."""
    top = math.floor(math.log10(whole))
    for digits, exponent in itertools.product(range(1, SPLIT + 1), (top, top - 1)):
        for first in range(10**digits - 1, 10 ** (digits - 1) - 1, -1):
            start = float(f"{first}e{exponent - digits + 1}")
            yield start, whole - float(np.float32(start))


def _cuts(whole: float) -> Iterator[tuple[float, float]]:
    """The first digits of a number, and the rest of it."""
    top = math.floor(math.log10(whole))
    for digits in range(1, SPLIT + 1):
        unit = 10.0 ** (top - digits + 1)
        start = float(f"{whole // unit * unit:.{digits - 1}e}")
        yield start, whole - start


def length(rule: Rule) -> int:
    """How many characters its numbers have."""
    return sum(len(repr(getattr(rule, name))) for name in numbers(rule))


def _simpler(rule: Rule, name: str, dialect: str) -> Iterator[float]:
    value, usual = getattr(rule, name), defaults(rule, name, dialect)
    if value == usual[0]:
        return
    yield from usual
    yield 0.0
    for digits in range(1, 17):
        short = float(f"{value:.{digits - 1}e}")
        if short == value:
            return
        yield short


def defaults(rule: Rule, name: str, dialect: str) -> list[float]:
    """What natives of this rule have by default for the field, those of ``dialect`` first; then the rule's own."""
    found: list[float] = []
    for spoken in sorted(dialects.DIALECTS, key=lambda known: known != dialect):
        for native in dialects.DIALECTS[spoken].natives.values():
            for argument, field in native.arguments.items() if native.rule is type(rule) else ():
                value = native.defaults.get(argument)
                if field == name and isinstance(value, float):
                    found.append(value)
    own: Any = next(field.default for field in dataclasses.fields(rule) if field.name == name)
    return list(dict.fromkeys([*found, own]))


def _replaced(rule: Rule, told: dict[str, Any]) -> Rule | None:
    try:
        return rule.replace(**told)
    except ValueError:
        return None


def _short(name: str, value: float, share: float) -> float:
    """The shortest decimal within a share of the number, of its distance to 1 where that is smaller; what is next to
    nothing becomes zero."""
    if name in UNIT and value < share**2:
        return 0.0
    room = share * (min(value, 1 - value) if name in UNIT else abs(value))
    return shortest(value, room)


def shortest(value: float, room: float) -> float:
    """The decimal with the fewest digits that is no farther than ``room`` away."""
    for digits in range(1, 17):
        short = float(f"{Decimal(value):.{digits - 1}e}")
        if abs(short - value) <= room:
            return short
    return value
