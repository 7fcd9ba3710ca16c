"""Other ways to write a rule that cannot be told apart by its steps."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from samestep.parity.natives.interpretations import MACHINE_EPSILON
from samestep.reference import ASGD, Adafactor, Adagrad, Decay, Epsilon, Muon, Rule, ScheduleFree

from .decimals import known_defaults, replace_if_allowed, round_values, shortest_decimal
from .refine import RATE_UNITS
from .trials import PROBE_STEPS

FACTOR = 2.0  # a number is multiplied by it to see whether it makes a difference
SPLIT_DIGITS = 3  # digits of each of two numbers of which only the sum is known
LONG_WARMUPS = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0)
WARMUP_DIGITS = 3  # of another one, and of the learning rate at its end
SAME_SLOPE = 1e-10  # ratios of both this close (relative) are taken to be equal
USUAL_SCALES = (1.0, 0.2)  # of Muon's steps
SUM_ACCURACY = 1e-12  # the relative accuracy of that sum
FALL_ACCURACY = 1e-5  # to which a fit finds how fast ASGD's rate falls (relative)
FALL_ROUNDINGS = 3  # roundings of the other numbers
FALL_DIGITS = 3  # digits of each of the two numbers of which that is the product


def indistinguishable(rule: Rule, holds: Callable[[Rule], bool]) -> list[Rule]:
    """Rules that hold too: other ways to write this one, and those that differ in one field."""
    same = [known for known in rewrite(rule, "") if repr(known) != repr(rule) and holds(known)]
    for field in dataclasses.fields(rule):
        for value in field.metadata.get("choices") or _other_numbers(rule, field.name):
            try:
                changed = rule.replace(**{field.name: value})
            except ValueError:
                continue
            for known in _with_choices(changed, field.name):
                if repr(known) != repr(rule) and known not in same and holds(known):
                    same.append(known)
    return same


def _with_choices(rule: Rule, name: str) -> Iterator[Rule]:
    """The rule with every value of the fields that matter only with this number."""
    yield rule
    for field in dataclasses.fields(rule):
        if name in field.metadata.get("matters_with", ()) and "choices" in field.metadata:
            for value in field.metadata["choices"]:
                changed = replace_if_allowed(rule, {field.name: value})
                if changed and changed != rule:
                    yield changed


def _other_numbers(rule: Rule, name: str) -> list[float]:
    value = getattr(rule, name)
    if isinstance(value, int):
        return []
    return [*known_defaults(rule, name, ""), 0.0, FACTOR * value or 1.0, value / FACTOR]


def rewrite(rule: Rule, dialect: str) -> Iterator[Rule]:
    """Rules that take about the same steps, where the steps leave a choice."""
    if isinstance(rule, Adagrad) and (rule.epsilon_at is Epsilon.INSIDE or not rule.epsilon):
        yield from _rewrite_adagrad(rule, dialect)
    if isinstance(rule, ScheduleFree):  # beta1 makes no difference in Keras
        beta1 = known_defaults(rule, "beta1", dialect)[0]
        yield from round_values(rule.replace(beta1=beta1))
        if rule.warmup > PROBE_STEPS:
            yield from _rewrite_long_warmup(rule)
    if isinstance(rule, Muon):
        yield from _rewrite_muon(rule)
    if isinstance(rule, Adafactor):
        yield from _rewrite_adafactor(rule, dialect)
    if isinstance(rule, ASGD) and rule.weight_decay and rule.lambd:
        yield from _rewrite_asgd(rule)


def _rewrite_long_warmup(rule: ScheduleFree) -> Iterator[Rule]:
    """While a warm-up lasts, only lr / warmup matters: the trial of many steps tells it."""
    shrink = rule.lr * rule.weight_decay
    slope = rule.lr / rule.warmup
    usual = [(slope * warmup, warmup) for warmup in LONG_WARMUPS]
    for lr, warmup in [*usual, *_rates_that_rise(slope)]:
        decay = {} if rule.decay is Decay.COUPLED else {"weight_decay": shrink / (lr or 1.0)}
        yield from round_values(rule.replace(lr=lr, warmup=warmup, **decay))


def _rates_that_rise(slope: float) -> Iterator[tuple[float, float]]:
    """Learning rates and warm-ups, both short decimals, with this ratio.

    The rate is in float32, where its last digits tell which decimal it was.
    """
    rates = np.arange(1, 10**WARMUP_DIGITS)[:, None] * RATE_UNITS
    with np.errstate(all="ignore"):
        warmups = rates.astype(np.float32).astype(np.float64) / slope
    long = (warmups > PROBE_STEPS) & (warmups < LONG_WARMUPS[-1])
    for rate, warmup in zip(rates[long].tolist(), warmups[long].tolist(), strict=True):
        decimal = float(f"{warmup:.{WARMUP_DIGITS - 1}e}")
        if abs(decimal - warmup) <= SAME_SLOPE * warmup:
            yield float(f"{rate:.{WARMUP_DIGITS - 1}e}"), decimal


def _rewrite_muon(rule: Muon) -> Iterator[Rule]:
    """Only products of the rate with its scales matter, and of epsilon with 1 - momentum."""
    for lr_scale in USUAL_SCALES:
        factor = rule.lr_scale / lr_scale
        if not rule.adam or not factor:
            break
        changes: dict[str, Any] = {
            "lr": rule.lr * factor,
            "lr_scale": lr_scale,
            "adam_lr_scale": rule.adam_lr_scale / factor,
        }
        if rule.decay is not Decay.COUPLED:
            changes["weight_decay"] = rule.weight_decay / factor
            changes["adam_weight_decay"] = rule.adam_weight_decay / factor
        yield from round_values(rule.replace(**changes), tuple(changes))
    yield from round_other_average(rule)


def round_other_average(rule: Muon) -> Iterator[Rule]:
    """The same steps with the other kind of momentum, its epsilon from coarse to fine decimals."""
    if rule.momentum < 1:
        change = 1 / (1 - rule.momentum) if rule.ema else 1 - rule.momentum
        averaged = rule.replace(ema=not rule.ema, epsilon=rule.epsilon * change)
        yield from round_values(averaged, ("epsilon",))


def _rewrite_adagrad(rule: Adagrad, dialect: str) -> Iterator[Rule]:
    """Under the root only the sum of epsilon and the initial accumulator matters."""
    inside = rule.epsilon if rule.epsilon_at is Epsilon.INSIDE else 0.0
    total = rule.initial_accumulator + inside
    if not total:
        return
    for accumulator, epsilon in _splits(rule, total, dialect):
        changes: dict[str, Any] = {"epsilon": epsilon, "initial_accumulator": accumulator}
        yield from round_values(rule.replace(epsilon_at=Epsilon.INSIDE, **changes))
    outside: dict[str, Any] = {"epsilon_at": Epsilon.OUTSIDE}
    yield from round_values(rule.replace(epsilon=0.0, initial_accumulator=total, **outside))


def _splits(rule: Adagrad, total: float, dialect: str) -> Iterator[tuple[float, float]]:
    """Initial accumulators and epsilons that add up to the total."""
    for epsilon in known_defaults(rule, "epsilon", dialect):
        if 0 < epsilon < total:
            yield shortest_decimal(total - epsilon, 2.0**-20 * epsilon), epsilon
    for accumulator, rest in itertools.chain(_float32_splits(total), _digit_splits(total)):
        epsilon = float(f"{rest:.{SPLIT_DIGITS - 1}e}")
        exact = abs(epsilon - rest) <= SUM_ACCURACY * total
        if rest > SUM_ACCURACY * total and exact:
            yield accumulator, epsilon
    yield 0.0, total


def _float32_splits(total: float) -> Iterator[tuple[float, float]]:
    """Every short decimal, and the rest if it is rounded to float32, as Keras does in float64."""
    top = math.floor(math.log10(total))
    for digits, exponent in itertools.product(range(1, SPLIT_DIGITS + 1), (top, top - 1)):
        for first_digits in range(10**digits - 1, 10 ** (digits - 1) - 1, -1):
            decimal = float(f"{first_digits}e{exponent - digits + 1}")
            yield decimal, total - float(np.float32(decimal))


def _digit_splits(total: float) -> Iterator[tuple[float, float]]:
    """The first digits of a number, and the rest of it."""
    top = math.floor(math.log10(total))
    for digits in range(1, SPLIT_DIGITS + 1):
        unit = 10.0 ** (top - digits + 1)
        first = float(f"{total // unit * unit:.{digits - 1}e}")
        yield first, total - first


def _rewrite_asgd(rule: ASGD) -> Iterator[Rule]:
    """Other powers with which the rate falls about as fast, and the weights shrink as fast.

    A small ``lambd`` shows in its product with ``alpha`` and in its sum with the weight decay. By
    itself it shows in the last digits alone, so that a fit leaves it open.
    """
    fall = rule.alpha * rule.lambd
    pull = rule.weight_decay + rule.lambd
    names = ("lr", "weight_decay")
    units = (-FALL_DIGITS, 1 - FALL_DIGITS)  # of an alpha below 1, and of one above
    for digits, unit in itertools.product(range(1, 10**FALL_DIGITS), units):
        alpha = float(f"{digits}e{unit}")
        lambd = float(f"{fall / alpha:.{FALL_DIGITS - 1}e}")
        if abs(alpha * lambd - fall) <= FALL_ACCURACY * fall and lambd <= pull:
            changed = rule.replace(alpha=alpha, lambd=lambd, weight_decay=pull - lambd)
            yield from itertools.islice(round_values(changed, names), FALL_ROUNDINGS)


def _rewrite_adafactor(rule: Adafactor, dialect: str) -> Iterator[Rule]:
    """The first epsilon is usually so small that a fit knows no more than a digit of it."""
    usual = known_defaults(rule, "epsilon1", dialect)
    values_at = {Epsilon.INSIDE: usual, Epsilon.FLOOR: [MACHINE_EPSILON["float32"], *usual]}
    for rounded in round_values(rule.replace(epsilon1=0.0)):
        for place, values in values_at.items():
            for value in values:
                yield rounded.replace(epsilon1=value, epsilon1_at=place)
