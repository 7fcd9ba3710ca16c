"""A rule with some fields fixed and starts for its numbers; and one for each weight decay that the features allow."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from samestep.reference import Decay, Rule

from .features import Features

FLAT = ("zero", "weights")
WHOLE = ("plain", "matrix", "wide", "zero")  # for rules in which elements act on each other
BETA1 = (0.5, 0.8, 0.9, 0.97)
BETA2 = (0.5, 0.9, 0.99, 0.999, 0.9999)
DECAYS = (1e-3, 1e-2, 1e-1)
SHARE = "share"  # of what the first step tells of two numbers together, in a grid; no number itself
LEAST = 1e-30  # where a number that may be zero starts on a logarithmic scale

Numbers = dict[str, Any]

BOTH = (Decay.DECOUPLED, Decay.COUPLED)


class Variant(NamedTuple):
    """A kind of rule with some fields fixed. ``start`` makes of a point of the grid all the numbers to fit.

    ``names`` are the probes that it is fitted to, ``flat`` if each element is on its own there.
    """

    kind: type[Rule]
    fixed: Mapping[str, Any]
    grid: Mapping[str, Sequence[float]]
    start: Callable[[Numbers], Numbers]
    names: tuple[str, ...] = FLAT
    flat: bool = True


def _decays(f: Features, *kinds: Decay) -> Iterator[tuple[dict[str, Any], dict[str, Sequence[float]]]]:
    """Fixed fields and a grid for the weight decay, for each kind that it can be."""
    fixed = {"maximize": True} if f.uphill else {}
    if not f.moved:
        yield fixed, {}
        return
    for kind in kinds:
        known = [f.coupling] if kind is Decay.COUPLED and f.coupling else []
        yield {**fixed, "decay": kind}, {"weight_decay": [*known, *DECAYS]}
    yield fixed, {}


def _shrunk(f: Features, fixed: Mapping[str, Any], numbers: Numbers) -> Numbers:
    """With the weight decay that the first shrinking tells, where it is decoupled."""
    if fixed.get("decay") is Decay.DECOUPLED and f.shrink and 0 < f.shrink < 1 and numbers["lr"]:
        return {**numbers, "weight_decay": f.shrink / numbers["lr"]}
    return numbers


def variants(
    kind: type[Rule], f: Features, kinds: Sequence[Decay], flags: Sequence[dict[str, Any]],
    grid: Mapping[str, Sequence[float]], start: Callable[[Numbers, dict[str, Any]], Numbers],
    names: tuple[str, ...] = FLAT, flat: bool = True,
) -> Iterator[Variant]:  # fmt: skip
    """A variant for each kind of decay and each setting of the flags; ``start`` gets a point of the grid, and the
    flags."""
    for (fixed, more), chosen in itertools.product(_decays(f, *kinds), flags):
        told = {**fixed, **chosen}
        if fixed.get("decay") is Decay.DECOUPLED and f.shrink and 0 < f.shrink < 1:
            more = {"weight_decay": [0.0]}  # it is told

        def begin(at: Numbers, told: dict[str, Any] = told) -> Numbers:
            numbers = _shrunk(f, told, {**at, **start(at, told)})
            return {name: value for name, value in numbers.items() if name != SHARE}

        yield Variant(kind, told, {**grid, **more}, begin, names, flat)
