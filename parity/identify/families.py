"""What each rule would have to be, to take a first step like the box's: those that move by the gradient itself, those
of ``adaptive``, and those in which elements act on each other."""

from collections.abc import Iterator
from typing import Any

from samestep.reference import ASGD, LAMB, SGD, Adafactor, Buffer, Decay, Epsilon, RAdam, SizeMeasuredAt

from .adaptive import adaptive
from .features import Features
from .variants import BETA1, BETA2, BOTH, LEAST, SHARE, WHOLE, Numbers, Variant, variants

LENGTHS = (  # dense where another step more or less is not adaptive yet
    0.5, 0.65, 0.7, 0.75, 0.78, 0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95, 0.98, 0.99, 0.999, 0.9999,
)  # fmt: skip
USUAL_LAMBD = 1e-4  # of torch's ASGD


def of(f: Features) -> list[Variant]:
    """All variants, those that look likely first."""
    linear = [*_sgd(f), *_asgd(f), *_radam(f)]
    others = [*adaptive(f), *_lamb(f), *_adafactor(f)]
    return [*linear, *others] if f.linear else [*others, *linear]


def _sgd(f: Features) -> Iterator[Variant]:
    yield from variants(SGD, f, (Decay.COUPLED,), [{}], {}, lambda at, told: {"lr": f.slope})
    momentum = {"momentum": (0.2, 0.5, 0.9, 0.97)}
    buffers = [{"buffer": buffer} for buffer in (Buffer.GRADIENTS, Buffer.STEPS)]
    yield from variants(SGD, f, BOTH, buffers, momentum, lambda at, told: {"lr": f.slope})
    nesterov = [{"nesterov": True, **buffer} for buffer in buffers]
    yield from variants(SGD, f, BOTH, nesterov, momentum, lambda at, told: {"lr": f.slope / (1 + at["momentum"])})
    dampened = {**momentum, "dampening": (0.1, 0.5, 0.9)}
    yield from variants(SGD, f, BOTH, buffers, dampened, lambda at, told: {"lr": f.slope})


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
    yield from variants(RAdam, f, BOTH, flags, grid, lambda at, told: {"lr": f.slope})


def _lamb(f: Features) -> Iterator[Variant]:
    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        return {"lr": f.top, "epsilon": max(LEAST, f.half)}

    kinds = (Decay.DECOUPLED, Decay.JOINED, Decay.COUPLED)
    yield from variants(LAMB, f, kinds, [{}], {"beta1": BETA1, "beta2": BETA2}, start, WHOLE, flat=False)


def _adafactor(f: Features) -> Iterator[Variant]:
    flags: list[dict[str, Any]] = [
        {"epsilon1_at": place, "relative_step": relative}
        for place in (Epsilon.INSIDE, Epsilon.FLOOR) for relative in (True, False)
    ]  # fmt: skip
    if f.moved:
        flags = [{**flag, "size_measured_at": at} for flag in flags for at in SizeMeasuredAt]

    def start(at: Numbers, told: dict[str, Any]) -> Numbers:
        inside = told["epsilon1_at"] is Epsilon.INSIDE
        epsilon1 = LEAST if f.signed else 3 * f.half**2 if inside else 2 * f.half
        after = told.get("size_measured_at") is SizeMeasuredAt.AFTER_DECAY and f.shrink and f.shrink < 1
        size = 1 - (f.shrink or 0.0) if after else 1.0
        lr = (f.pace or 1.0) / size / min(1.0, at["clip"])
        return {"lr": lr, "epsilon2": f.top / lr / min(1.0, at["clip"]), "epsilon1": epsilon1}

    grid = {"beta2_decay": (-0.4, -0.6, -0.8, -1.0), "clip": (0.25, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)}
    for variant in variants(Adafactor, f, BOTH, flags, grid, start, WHOLE, flat=False):
        decoupled, at = variant.fixed.get("decay") is Decay.DECOUPLED, variant.fixed.get("size_measured_at")
        if decoupled or at is not SizeMeasuredAt.AFTER_DECAY:  # else the measures are one
            yield variant
