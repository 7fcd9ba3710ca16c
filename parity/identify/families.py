"""What each rule would have to be, to take a first step like the box's: variants, and starts for their numbers."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reference import (
    ASGD,
    FTRL,
    LAMB,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Buffer,
    Decay,
    Epsilon,
    Measure,
    NAdam,
    RAdam,
    RMSprop,
    Rule,
    ScheduleFree,
)  # fmt: skip

from . import probes
from .features import Features

FLAT = ("zero", "weights")
WHOLE = ("plain", "matrix", "wide", "zero")  # for rules in which elements act on each other
BETA1 = (0.5, 0.8, 0.9, 0.97)
BETA2 = (0.5, 0.9, 0.99, 0.999, 0.9999)
LENGTHS = (  # dense where another step more or less is not adaptive yet
    0.5, 0.65, 0.7, 0.75, 0.78, 0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95, 0.98, 0.99, 0.999, 0.9999,
)  # fmt: skip
RHO = (0.5, 0.8, 0.9, 0.97, 0.99, 0.999)
DECAYS = (1e-3, 1e-2, 1e-1)
SHARE = "share"  # of what the first step tells of two numbers together, in a grid; no number itself
USUAL_LAMBD = 1e-4  # of torch's ASGD
LEAST = 1e-30  # where a number that may be zero starts on a logarithmic scale

Numbers = dict[str, Any]


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


def of(f: Features) -> list[Variant]:
    """All variants, those that look likely first."""
    linear = [*_sgd(f), *_asgd(f), *_radam(f)]
    adaptive = [
        *_adam(f), *_rmsprop(f), *_adagrad(f), *_adadelta(f), *_adamax(f), *_nadam(f), *_schedule_free(f), *_ftrl(f),
    ]  # fmt: skip
    whole = [*_lamb(f), *_adafactor(f)]
    return [*linear, *adaptive, *whole] if f.linear else [*adaptive, *whole, *linear]


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


def _variants(
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


BOTH = (Decay.DECOUPLED, Decay.COUPLED)


def _sgd(f: Features) -> Iterator[Variant]:
    yield from _variants(SGD, f, (Decay.COUPLED,), [{}], {}, lambda at, told: {"lr": f.slope})
    momentum = {"momentum": (0.2, 0.5, 0.9, 0.97)}
    buffers = [{"buffer": buffer} for buffer in (Buffer.GRADIENTS, Buffer.STEPS)]
    yield from _variants(SGD, f, BOTH, buffers, momentum, lambda at, told: {"lr": f.slope})
    nesterov = [{"nesterov": True, **buffer} for buffer in buffers]
    yield from _variants(SGD, f, BOTH, nesterov, momentum, lambda at, told: {"lr": f.slope / (1 + at["momentum"])})
    dampened = {**momentum, "dampening": (0.1, 0.5, 0.9)}
    yield from _variants(SGD, f, BOTH, buffers, dampened, lambda at, told: {"lr": f.slope})


def _asgd(f: Features) -> Iterator[Variant]:
    fixed = {"maximize": True} if f.uphill else {}
    pull = (f.shrink or 0.0) / (f.slope or 1.0)
    grid = {"alpha": (0.5, 0.75, 1.0)}
    yield Variant(ASGD, fixed, grid, lambda at: {**at, "lr": f.slope, "lambd": pull})
    if pull > USUAL_LAMBD:  # weight decay beside a pull that is no more than usual
        usual = {**fixed, "lambd": USUAL_LAMBD}
        yield Variant(ASGD, usual, grid, lambda at: {**at, "lr": f.slope, "weight_decay": pull - USUAL_LAMBD})
    share = {**grid, SHARE: (0.1, 0.5, 0.9)}
    yield Variant(
        ASGD, fixed, share,
        lambda at: {"alpha": at["alpha"], "lr": f.slope, "lambd": pull * at[SHARE],
                    "weight_decay": pull * (1 - at[SHARE])},
    )  # fmt: skip


def _radam(f: Features) -> Iterator[Variant]:
    grid = {"beta1": (0.6, 0.9), "beta2": LENGTHS, "epsilon": (1e-9, 1e-6, 1e-3)}
    flags = [{"epsilon_at": place} for place in (Epsilon.HAT, Epsilon.OUTSIDE)]
    yield from _variants(RAdam, f, BOTH, flags, grid, lambda at, told: {"lr": f.slope})


def _adam(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        hat = told["epsilon_at"] is Epsilon.HAT
        return {"lr": f.top, "epsilon": max(LEAST, f.half * ((1 - at["beta2"]) ** 0.5 if hat else 1))}

    flags = [
        {"epsilon_at": place, "amsgrad": amsgrad}
        for place in (Epsilon.OUTSIDE, Epsilon.HAT) for amsgrad in (False, True)
    ]  # fmt: skip
    yield from _variants(Adam, f, BOTH, flags, {"beta1": BETA1, "beta2": BETA2}, start)


def _adamax(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top, "epsilon": max(LEAST, f.half)}

    flags = [{"epsilon_at": place} for place in (Epsilon.INSIDE, Epsilon.OUTSIDE)]
    yield from _variants(Adamax, f, BOTH, flags, {"beta1": BETA1, "beta2": BETA2}, start)


def _nadam(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        now, ahead = (at["beta1"] * (1 - 0.96 ** (k * at["momentum_decay"]) / 2) for k in (1, 2))
        longer = 1 + ahead * (1 - at["beta1"]) / (1 - now * ahead)
        return {"lr": f.top / longer, "epsilon": max(LEAST, f.half)}

    grid = {"beta1": BETA1, "beta2": BETA2, "momentum_decay": (4e-3, 0.5, 1.0)}
    yield from _variants(NAdam, f, BOTH, [{}], grid, start)


def _schedule_free(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top * max(1.0, at.get("warmup", 1.0)), "epsilon": max(LEAST, f.half)}

    grid = {"beta1": BETA1, "beta2": BETA2}
    yield from _variants(ScheduleFree, f, BOTH, [{}], grid, start)
    yield from _variants(
        ScheduleFree, f, BOTH, [{}], {**grid, "beta1": (0.9,), "warmup": (2.0, 5.0, 10.0, 20.0, 50.0, 200.0)}, start
    )


def _rmsprop(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        take = 1 - at["rho"]
        inside = told["epsilon_at"] is Epsilon.INSIDE
        if SHARE in at:
            lr = f.top * (take * (at["rho"] if told["centered"] else 1)) ** 0.5
            rest, outside = 1 - at[SHARE], at[SHARE] * f.half * take**0.5
            start = {"lr": lr, "initial_mean_square": max(LEAST, 3 * rest * f.half**2 * take / at["rho"])}
            return {**start, "epsilon": max(LEAST, outside**2 if inside else outside)}
        return {"lr": f.top * take**0.5, "epsilon": max(LEAST, f.half**2 * take if inside else f.half * take**0.5)}

    plain = [
        {"epsilon_at": place, "centered": centered}
        for centered in (False, True) for place in (Epsilon.OUTSIDE, Epsilon.INSIDE)
    ]  # fmt: skip
    buffered = [{**flags, "buffer": buffer} for flags in plain for buffer in (Buffer.GRADIENTS, Buffer.STEPS)]
    grid, moving = {"rho": RHO}, {"rho": RHO, "momentum": (0.5, 0.9)}
    started: dict[str, Sequence[float]] = {SHARE: (0.0, 0.5)}
    yield from _variants(RMSprop, f, BOTH, plain, grid, start)
    yield from _variants(RMSprop, f, BOTH, buffered, moving, start)
    yield from _variants(RMSprop, f, BOTH, plain, {**grid, **started}, start)
    yield from _variants(RMSprop, f, BOTH, buffered, {**moving, **started}, start)


def _adagrad(f: Features) -> Iterator[Variant]:
    """Epsilon under the root is part of the initial accumulator."""
    outside = [{"epsilon_at": Epsilon.OUTSIDE}]
    late: dict[str, Sequence[float]] = {"lr_decay": (1e-3, 1e-1)}
    for more in ({}, late):
        yield from _variants(
            Adagrad, f, BOTH, outside, more, lambda at, told: {"lr": f.top, "epsilon": max(LEAST, f.half)}
        )
        yield from _variants(
            Adagrad, f, BOTH, [{**outside[0], "epsilon": 0.0}], more,
            lambda at, told: {"lr": f.top, "initial_accumulator": max(LEAST, f.half**2)},
        )  # fmt: skip
        yield from _variants(
            Adagrad, f, BOTH, outside, {**more, SHARE: (0.1, 0.5, 0.9)},
            lambda at, told: {"lr": f.top, "epsilon": f.half * at[SHARE], "initial_accumulator": f.half**2},
        )  # fmt: skip


def _adadelta(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        epsilon = max(LEAST, f.half**2 * (1 - at["rho"]))
        return {"lr": f.top * ((1 - at["rho"]) / epsilon) ** 0.5, "epsilon": epsilon}

    yield from _variants(Adadelta, f, BOTH, [{}], {"rho": RHO}, start)


def _ftrl(f: Features) -> Iterator[Variant]:
    fixed: dict[str, Any] = {"maximize": True} if f.uphill else {}
    largest = float(probes.scales()[-1])

    def start(at: Numbers) -> Numbers:
        lr = f.top * largest ** (-2 * at.get("lr_power", -0.5) - 1)
        numbers = {"lr": max(LEAST, lr), "initial_accumulator": max(LEAST, f.half**2), "l1": f.dead, **at}
        if SHARE in at:
            share = numbers.pop(SHARE)
            numbers |= {"beta": share * f.half, "initial_accumulator": max(LEAST, ((1 - share) * f.half) ** 2)}
        return numbers

    ridge = {"l2": (0.0, 0.5), "shrinkage": (0.0, 0.1), SHARE: (0.0, 0.3, 0.7)}
    powers = {"lr_power": (-0.2, -0.3, -0.4, -0.6, -0.8), "initial_accumulator": (1e-3, 0.1)}
    decayed: list[tuple[dict[str, Any], dict[str, Sequence[float]]]] = [({}, {})]
    if f.moved:
        decayed += [({"decay": kind}, {"weight_decay": (0.01, 0.3)}) for kind in BOTH]
    several: tuple[dict[str, Sequence[float]], ...] = ({}, {**ridge}, {**powers}, {**powers, **ridge})
    for (more, grid), numbers in itertools.product(decayed, several):
        yield Variant(FTRL, {**fixed, **more}, {**numbers, **grid}, start)


def _lamb(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top, "epsilon": max(LEAST, f.half)}

    kinds = (Decay.DECOUPLED, Decay.JOINED, Decay.COUPLED)
    yield from _variants(LAMB, f, kinds, [{}], {"beta1": BETA1, "beta2": BETA2}, start, WHOLE, flat=False)


def _adafactor(f: Features) -> Iterator[Variant]:
    flags: list[dict[str, Any]] = [
        {"epsilon1_at": place, "relative_step": relative}
        for place in (Epsilon.INSIDE, Epsilon.FLOOR) for relative in (True, False)
    ]  # fmt: skip
    if f.moved:
        flags = [{**flag, "measure": measure} for flag in flags for measure in Measure]

    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        inside = told["epsilon1_at"] is Epsilon.INSIDE
        epsilon1 = LEAST if f.signed else 3 * f.half**2 if inside else 2 * f.half
        after = told.get("measure") is Measure.AFTER_DECAY and f.shrink and f.shrink < 1
        size = 1 - (f.shrink or 0.0) if after else 1.0
        lr = (f.pace or 1.0) / size / min(1.0, at["clip"])
        return {"lr": lr, "epsilon2": f.top / lr / min(1.0, at["clip"]), "epsilon1": epsilon1}

    grid = {"beta2_decay": (-0.4, -0.6, -0.8, -1.0), "clip": (0.25, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)}
    yield from _variants(Adafactor, f, BOTH, flags, grid, start, WHOLE, flat=False)
