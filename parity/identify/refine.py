"""Write fitted hyperparameters as the decimals that they were meant as, in turns with a fit.

Numbers are determined with very different accuracies: beside a large accumulator a small epsilon
shows in a few digits alone. So each is rounded within its own accuracy. Those that are surely meant
as a decimal are fixed, and the others are fitted again: they are determined better then.
"""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from samestep.reference import Rule

from .decimals import replace_if_allowed, round_value, shortest_decimal
from .family import Numbers, RuleTemplate
from .fit import FRACTIONS, ITERATIONS, FittedRule, accuracies, fit

SPREADS = (10, 100, 1000, 10_000)  # accuracies within which the true number may lie
COARSEST = 0.3  # the relative accuracy of one digit
CHANCE = 200  # a decimal is meant if its last digit is so many times as large as what is not known
MOST_TURNS = 4
DECIMAL_LENGTH = 14  # characters of a learning rate that is a decimal; a product has more
RATE_DIGITS = 3  # of a learning rate that is multiplied by a scale, and of the scale
RATE_UNITS = 10.0 ** np.arange(-10, 3)
MOST_SCALE = 100.0
SAME_PRODUCT = 1e-11  # numbers this close (relative) are taken to be equal
FLOAT32_ROUNDOFF = 2.0**-24
FULLY = 0.0  # the error at which such a fit may end: it goes on as long as it gains


def refine(fitted: FittedRule) -> Iterator[Rule]:
    """The fitted rule with each number as a decimal; the first ways trust the fit most."""
    for refined in refine_as_seen(fitted):
        lr = _rounded("lr", refined.rule.lr, 0.0)
        yield refined.rule.replace(lr=lr) if "lr" in fitted.names else refined.rule


def refine_as_seen(fitted: FittedRule) -> Iterator[FittedRule]:
    """The same with the learning rate as trials hold it, in float32, and with its error."""
    if fitted.data is None:
        return
    seen: set[Rule] = set()
    for spread in SPREADS:
        rule = _rounded_in_turns(fitted, spread)
        if rule and rule not in seen:
            seen.add(rule)
            yield fitted._replace(rule=rule, error=fitted.data.error(rule))


def decimal_of_product(value: float) -> float:
    """The decimal that a product of fitted numbers stands for, else the value itself."""
    decimal = shortest_decimal(value, SAME_PRODUCT * abs(value))
    return decimal if len(repr(decimal)) <= DECIMAL_LENGTH else value


def split_rate(product: float, digits: int = 0) -> tuple[float, float]:
    """The learning rate and the scale of which this is the product, the rate in float32.

    The rounding of the rate tells which decimal it was. The shortest decimals are taken, up to
    ``RATE_DIGITS`` digits (of the scale ``digits``, if given); where none are right, the rate is
    the product itself.
    """
    if not product:
        return product, 1.0
    rates = np.arange(1, 10**RATE_DIGITS)[:, None] * RATE_UNITS
    rates = rates[(rates > product / MOST_SCALE) & (rates < product * MOST_SCALE)]
    scales = product / rates.astype(np.float32).astype(np.float64)
    units = 10.0 ** (np.floor(np.log10(scales)) - (digits or RATE_DIGITS) + 1)
    decimals = np.round(scales / units) * units
    right = np.abs(decimals - scales) <= SAME_PRODUCT * scales
    pairs = [
        (decimal_of_product(rate), decimal_of_product(scale))
        for rate, scale in zip(rates[right].tolist(), decimals[right].tolist(), strict=True)
    ]
    if not pairs:
        lr = float(np.float32(product))
        return lr, product / lr
    lr, scale = min(pairs, key=_plainness)
    return float(np.float32(lr)), scale


def _plainness(pair: tuple[float, float]) -> tuple[int, float]:
    """The key of the plainest rate and scale: few digits, and a scale near 1."""
    rate, scale = pair
    return len(repr(rate)) + len(repr(scale)), abs(float(np.log(scale)))


def _rounded_in_turns(fitted: FittedRule, spread: float) -> Rule | None:
    decimals: Numbers = {}
    for _ in range(MOST_TURNS):
        rooms = {name: spread * value for name, value in accuracies(fitted).items()}
        rounded = {
            name: _as_seen(name, _rounded(name, fitted.numbers[name], room))
            for name, room in rooms.items()
        }
        sure = [name for name in rooms if _is_meant(name, fitted.numbers[name], rooms[name])]
        decimals |= {name: rounded[name] for name in sure}
        if not sure or len(sure) == len(rooms):
            break
        again = _fit_the_others(fitted, {name: rounded[name] for name in sure})
        if again is None:
            break
        fitted = again
    return replace_if_allowed(fitted.rule, {**rounded, **decimals})


def _fit_the_others(fitted: FittedRule, decimals: Numbers) -> FittedRule | None:
    """The fit of all numbers but these, which are fixed as the optimizer sees them."""
    assert fitted.data is not None
    fixed = {name: getattr(fitted.rule, name) for name in fitted.rule.names()}
    fixed |= decimals
    start = {name: value for name, value in fitted.numbers.items() if name not in decimals}
    template = RuleTemplate(
        type(fitted.rule), {name: value for name, value in fixed.items() if name not in start}
    )
    return fit(template, start, fitted.data, ITERATIONS, FULLY)


def _as_seen(name: str, value: float) -> float:
    """The number as trials hold it: a learning rate in float32 if it is that of a decimal."""
    is_decimal = name == "lr" and len(repr(value)) <= DECIMAL_LENGTH
    return float(np.float32(value)) if is_decimal else value


def _rounded(name: str, value: float, accuracy: float) -> float:
    """The shortest decimal within the accuracy.

    A learning rate that is no decimal in float32 remains as it is: it stands for a product.
    """
    if name != "lr":
        return round_value(name, value, min(accuracy, COARSEST))
    decimal = shortest_decimal(value, FLOAT32_ROUNDOFF * value)
    near = abs(float(np.float32(decimal)) - value) <= max(accuracy, SAME_PRODUCT) * value
    return decimal if near else value


def _is_meant(name: str, value: float, accuracy: float) -> bool:
    """True if a number that somebody chose at random would hardly be so near to its decimal."""
    decimal = _rounded(name, value, accuracy)
    exponent = Decimal(repr(decimal)).normalize().as_tuple().exponent
    room = accuracy * _unit(name, value)
    if name == "lr":
        room = max(room, FLOAT32_ROUNDOFF * value)
    return bool(decimal) and CHANCE * room < 10.0 ** int(exponent)


def _unit(name: str, value: float) -> float:
    """What a relative accuracy of the number is a share of."""
    return min(value, 1 - value) if name in FRACTIONS else abs(value)
