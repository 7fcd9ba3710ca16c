"""Starts for rules that divide by the size of past gradients, element by element."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from samestep.reference import FTRL, Adadelta, Adagrad, Adam, Adamax, Buffer, Epsilon, NAdam, RMSprop, ScheduleFree

from . import probes
from .family import BETA1, BETA2, BOTH, LEAST, SHARE, Numbers, Variant, variants
from .features import Features

RHO = (0.5, 0.8, 0.9, 0.97, 0.99, 0.999)


def adaptive(f: Features) -> Iterator[Variant]:
    """All of them, those that look likely first."""
    for family in (_adam, _rmsprop, _adagrad, _adadelta, _adamax, _nadam, _schedule_free, _ftrl):
        yield from family(f)


def _adam(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        hat = told["epsilon_at"] is Epsilon.HAT
        return {"lr": f.top, "epsilon": max(LEAST, f.half * ((1 - at["beta2"]) ** 0.5 if hat else 1))}

    flags = [
        {"epsilon_at": place, "amsgrad": amsgrad}
        for place in (Epsilon.OUTSIDE, Epsilon.HAT) for amsgrad in (False, True)
    ]  # fmt: skip
    yield from variants(Adam, f, BOTH, flags, {"beta1": BETA1, "beta2": BETA2}, start)


def _adamax(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top, "epsilon": max(LEAST, f.half)}

    flags = [{"epsilon_at": place} for place in (Epsilon.INSIDE, Epsilon.OUTSIDE)]
    yield from variants(Adamax, f, BOTH, flags, {"beta1": BETA1, "beta2": BETA2}, start)


def _nadam(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        now, ahead = (at["beta1"] * (1 - 0.96 ** (k * at["momentum_decay"]) / 2) for k in (1, 2))
        longer = 1 + ahead * (1 - at["beta1"]) / (1 - now * ahead)
        return {"lr": f.top / longer, "epsilon": max(LEAST, f.half)}

    grid = {"beta1": BETA1, "beta2": BETA2, "momentum_decay": (4e-3, 0.5, 1.0)}
    yield from variants(NAdam, f, BOTH, [{}], grid, start)


def _schedule_free(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top * max(1.0, at.get("warmup", 1.0)), "epsilon": max(LEAST, f.half)}

    grid = {"beta1": BETA1, "beta2": BETA2}
    yield from variants(ScheduleFree, f, BOTH, [{}], grid, start)
    yield from variants(
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
    yield from variants(RMSprop, f, BOTH, plain, grid, start)
    yield from variants(RMSprop, f, BOTH, buffered, moving, start)
    yield from variants(RMSprop, f, BOTH, plain, {**grid, **started}, start)
    yield from variants(RMSprop, f, BOTH, buffered, {**moving, **started}, start)


def _adagrad(f: Features) -> Iterator[Variant]:
    """Epsilon under the root is part of the initial accumulator."""
    outside = [{"epsilon_at": Epsilon.OUTSIDE}]
    late: dict[str, Sequence[float]] = {"lr_decay": (1e-3, 1e-1)}
    for more in ({}, late):
        yield from variants(
            Adagrad, f, BOTH, outside, more, lambda at, told: {"lr": f.top, "epsilon": max(LEAST, f.half)}
        )
        yield from variants(
            Adagrad, f, BOTH, [{**outside[0], "epsilon": 0.0}], more,
            lambda at, told: {"lr": f.top, "initial_accumulator": max(LEAST, f.half**2)},
        )  # fmt: skip
        yield from variants(
            Adagrad, f, BOTH, outside, {**more, SHARE: (0.1, 0.5, 0.9)},
            lambda at, told: {"lr": f.top, "epsilon": f.half * at[SHARE], "initial_accumulator": f.half**2},
        )  # fmt: skip


def _adadelta(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        epsilon = max(LEAST, f.half**2 * (1 - at["rho"]))
        return {"lr": f.top * ((1 - at["rho"]) / epsilon) ** 0.5, "epsilon": epsilon}

    yield from variants(Adadelta, f, BOTH, [{}], {"rho": RHO}, start)


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
