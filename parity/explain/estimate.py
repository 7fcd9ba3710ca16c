"""Estimate the number of a hypothesis from elements that differ.

The number is where a simulated element meets the optimizer's. How far rounding lets it be off
follows from the element's limit, and of all numbers in that interval the plainest are proposed.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from samestep.parity.measure.bounded import ROUNDOFF
from samestep.parity.measure.limits import SAFETY

from .hypothesis import Hypothesis, Unknown
from .observed import Observed

MOST_PLACES = 3  # elements from which a number is estimated
MOST_NUMBERS = 3  # plain numbers of an interval that are proposed
MOST_ROUNDS = 60  # of the search for a root
MOST_CORRECTIONS = 5  # of a root, each doubles its digits
SUBDIVISIONS = 8  # of an interval, where a later step narrows it
NARROW = 2.0**-6  # an interval that is so small a share of its numbers
NUDGE = 2.0**-24  # a share of a number, by which it is moved to measure a slope
MOST_DIGITS = 17
POWERS = range(-60, 61)  # of two
MOST_PARTS = 10_000  # the largest n of which 1/n counts as a plain number

Function = Callable[[float], float]


class Place(NamedTuple):
    """An element of a tensor after a step, from 0: its value, and how far that may be off."""

    name: str
    step: int
    element: tuple[int, ...]
    value: float
    bound: float


class Interval(NamedTuple):
    """Numbers with which a hypothesis gives an element, to within rounding."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The number in the middle."""
        return self.low + (self.high - self.low) / 2

    def as_wide_as_float32(self) -> "Interval":
        """At least the numbers that float32 rounds alike, since rates of a trial are float32."""
        width = abs(self.middle) * ROUNDOFF["float32"]
        return Interval(min(self.low, self.middle - width), max(self.high, self.middle + width))


def hypotheses(unknown: Unknown, observed: Observed) -> Iterator[Hypothesis]:
    """The hypothesis with the plainest numbers that give the elements that differ."""
    first, *others = places(observed, observed.first_step)
    intervals = list(_intervals(unknown, first, observed, unknown.grid))
    for place in [*others, *places(observed, observed.trial.steps - 1)[:1]]:
        parts = [_narrowed(unknown, place, observed, interval) for interval in intervals]
        intervals = list(itertools.chain.from_iterable(parts))
    for interval in intervals:
        for each in dict.fromkeys((interval.as_wide_as_float32(), interval)):
            for number, digits in itertools.islice(plain_numbers(each), MOST_NUMBERS):
                hypothesis = unknown.make(number, observed.trial)
                if hypothesis:
                    yield dataclasses.replace(hypothesis, digits=digits)


def places(observed: Observed, step: int) -> list[Place]:
    """The elements that are the most limits off after a step."""
    ranked = []
    for name in observed.trial.start:
        excess = observed.excess(name)[step]
        order = np.argsort(excess, axis=None)[::-1][:MOST_PLACES]
        for flat in order:
            element = tuple(int(i) for i in np.unravel_index(flat, excess.shape))
            ranked.append((float(excess[element]), name, element))
    ranked.sort(key=lambda entry: -entry[0])
    chosen = []
    for _, name, element in ranked[:MOST_PLACES]:
        value = float(observed.actual.thetas[name][(step, *element)])
        # the largest of the tensor: this element may move far more than is expected of it
        bound = SAFETY * float(observed.limits.thetas[name][step].max())
        chosen.append(Place(name, step, element, value, bound * _stretch(observed, name, step)))
    return chosen


def _stretch(observed: Observed, name: str, step: int) -> float:
    """How many times as long the optimizer's path is as the expected one, 1 at least.

    Rounding grows with the path.
    """
    begin = observed.trial.start[name]
    lengths = []
    for trajectory in (observed.actual, observed.expected):
        thetas = trajectory.thetas[name][: step + 1].astype(np.float64)
        with np.errstate(all="ignore"):
            moves = np.abs(np.diff(thetas, axis=0, prepend=begin[None]))
            lengths.append(float(np.nan_to_num(moves).sum(axis=0).max()))
    actual, expected = lengths
    longer = actual / expected if expected else 1.0
    return max(1.0, longer) if np.isfinite(longer) else 1.0


def _intervals(
    unknown: Unknown, place: Place, observed: Observed, grid: Sequence[float]
) -> Iterator[Interval]:
    """The intervals of numbers that give the element: around each root of the distance, and where
    it is so small on the whole way between two numbers of the grid.
    """
    distance = _distance(unknown, place, observed)
    at_numbers = [(number, distance(number)) for number in grid]
    # the number that the rule has makes no hypothesis, and may lie between two that do
    at_numbers = [(number, value) for number, value in at_numbers if not np.isnan(value)]
    grid = [number for number, _ in at_numbers]
    values = [value for _, value in at_numbers]
    within = [abs(value) <= place.bound for value in values]
    pairs = zip(itertools.pairwise(grid), itertools.pairwise(values), strict=True)
    for (low, high), (at_low, at_high) in pairs:
        if abs(at_low) <= place.bound or abs(at_high) <= place.bound:
            continue  # see below
        if not np.isfinite([at_low, at_high]).all() or at_low * at_high > 0:
            continue
        root = _root(distance, (low, at_low), (high, at_high))
        slope = _slope(distance, root)
        if not np.isfinite(slope):
            slope = (at_high - at_low) / (high - low)
        width = place.bound / abs(slope) if slope else high - low
        width += abs(root) * _rounding_of_sums(observed)
        yield Interval(root - width, root + width)
    last = len(grid) - 1
    for is_within, run in itertools.groupby(range(len(grid)), key=within.__getitem__):
        if is_within:
            numbers = list(run)
            yield Interval(grid[max(numbers[0] - 1, 0)], grid[min(numbers[-1] + 1, last)])


def _rounding_of_sums(observed: Observed) -> float:
    """How far, as a share, rounding may move a number that is compared with a norm."""
    elements = sum(start.size for start in observed.trial.start.values())
    return SAFETY * elements * ROUNDOFF[observed.dtype]


def _slope(distance: Function, number: float) -> float:
    step = abs(number) * NUDGE or NUDGE
    return (distance(number + step) - distance(number - step)) / (2 * step)


def _narrowed(
    unknown: Unknown, place: Place, observed: Observed, interval: Interval
) -> Iterator[Interval]:
    """The part of an interval that gives another element as well.

    In a narrow interval the root is sought by Newton's method.
    """
    low, high = interval
    if high - low > NARROW * max(abs(low), abs(high)):
        margin = (high - low) / SUBDIVISIONS
        evenly = np.linspace(low - margin, high + margin, SUBDIVISIONS + 1).tolist()
        grid = sorted({*evenly, *(number for number in unknown.grid if low < number < high)})
        parts = list(_intervals(unknown, place, observed, grid))
    else:
        distance = _distance(unknown, place, observed)
        part = _around_root(distance, interval, place.bound)
        if part is None:
            return
        width = abs(part.middle) * _rounding_of_sums(observed)
        parts = [Interval(part.low - width, part.high + width)]
    for part in parts:
        narrowed = Interval(max(part.low, low), min(part.high, high))
        if narrowed.low <= narrowed.high:
            yield narrowed


def _around_root(distance: Function, interval: Interval, bound: float) -> Interval | None:
    """The numbers within the bound around the root next to the middle of a narrow interval.

    The whole interval where the distance does not change; None if there are none.
    """
    root = interval.middle
    reach = interval.high - interval.low
    for _ in range(MOST_CORRECTIONS):
        value = distance(root)
        slope = _slope(distance, root)
        if not np.isfinite(value) or not np.isfinite(slope):
            return None
        if not slope:
            return interval if abs(value) <= bound else None
        root -= value / slope
        width = bound / abs(slope)
        if abs(value / slope) <= width:
            break
        if abs(root - interval.middle) > reach:
            return None
    return Interval(root - width, root + width)


def _distance(unknown: Unknown, place: Place, observed: Observed) -> Function:
    """How far the hypothesis is from the element, as a function of the number."""
    trial = observed.trial.first(place.step + 1)

    def distance(number: float) -> float:
        try:
            hypothesis = unknown.make(number, trial)
            if hypothesis is None:
                return float("nan")
            thetas = hypothesis.first_steps(place.step + 1, [place.name])[place.name]
        except (ValueError, ArithmeticError):
            return float("nan")
        return float(thetas[(-1, *place.element)]) - place.value

    return distance


def _root(distance: Function, low: tuple[float, float], high: tuple[float, float]) -> float:
    """Where the distance changes its sign between two numbers, each given with its distance.

    A secant (the Illinois method), or the middle where that gains little.
    """
    (x, fx), (y, fy) = low, high
    for turn in range(MOST_ROUNDS):
        if not fx:
            return x
        if not fy:
            return y
        middle = x + (y - x) / 2
        z = middle if turn % 3 == 2 or fx == fy else x - fx * (y - x) / (fy - fx)
        if not x < z < y:
            z = middle
        if not x < z < y:
            break
        fz = distance(z)
        if not np.isfinite(fz):
            break
        if fz * fx > 0:
            x, fx = z, fz
        else:
            y, fy = z, fz
    return x if abs(fx) < abs(fy) else y


def plain_numbers(interval: Interval) -> list[tuple[float, int]]:
    """Numbers of the interval that a person would write, with their digits, the plainest first."""
    low, high = interval
    middle = interval.middle
    numbers: dict[float, int] = {}

    def add(number: float, digits: int) -> None:
        if low <= number <= high:
            numbers[number] = min(digits, numbers.get(number, MOST_DIGITS))

    for power in POWERS:
        add(2.0**power, 1)
    if middle and 1 < abs(1 / middle) <= MOST_PARTS:
        parts = round(1 / middle)
        add(1 / parts, len(str(abs(parts)).rstrip("0")))
    for digits in range(1, MOST_DIGITS + 1):
        number = float(f"{middle:.{digits - 1}e}")
        add(number, digits)
        if number in numbers:
            break
    return sorted(numbers.items(), key=lambda entry: entry[1])
