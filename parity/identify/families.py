"""The families of all rules but those that step by a sign (``signs``) and Muon (``muon``).

A start function is written for the first step of its rule: ``longest`` is the step of a gradient so
large that epsilon does not matter, ``half_gradient`` the gradient that epsilon halves.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from samestep.reference import (
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
    NAdam,
    RAdam,
    RMSprop,
    ScheduleFree,
    SizeMeasuredAt,
)

from .family import (
    BETA1,
    BETA2,
    SHARE,
    TINY,
    WHOLE_TENSORS,
    Family,
    Flags,
    Grid,
    Numbers,
    Variant,
    choices_of,
)
from .features import Features
from .ftrl import fit_first_step
from .trials import probe_scales

RHO = (0.5, 0.8, 0.9, 0.97, 0.99, 0.999)
BETA2_OF_RADAM = (  # dense where RAdam takes a step more or less before it adapts
    0.5, 0.65, 0.7, 0.75, 0.78, 0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95, 0.98, 0.99, 0.999,
    0.9999,
)  # fmt: skip
LARGEST_BETA1 = 0.99999
USUAL_LAMBD = 1e-4  # the default of torch's ASGD
NADAM_BASE = 0.96  # NAdam's momentum grows with this number to the power of the step
OUTSIDE = {"epsilon_at": Epsilon.OUTSIDE}
INSIDE = {"epsilon_at": Epsilon.INSIDE}
HAT = {"epsilon_at": Epsilon.HAT}
UNCORRECTED = {"bias_correction": False}


def _products(*tables: Sequence[Flags]) -> list[dict[str, Any]]:
    """Every combination of one row from each table; the last table varies fastest."""
    rows: list[dict[str, Any]] = [{}]
    for table in tables:
        rows = [{**row, **more} for row, more in itertools.product(rows, table)]
    return rows


# Rules whose first step is proportional to the gradient


def _start_sgd(point: Numbers, flags: Flags, features: Features) -> Numbers:
    ahead = point["momentum"] if flags.get("nesterov") else 0.0
    return {"lr": features.slope / (1 + ahead)}


BUFFERS = [{"buffer": buffer} for buffer in (Buffer.GRADIENTS, Buffer.STEPS)]
MOMENTUM = {"momentum": (0.2, 0.5, 0.9, 0.97)}
SGD_FAMILIES = (
    Family(SGD, _start_sgd, decays=(Decay.COUPLED, Decay.AFTER)),
    Family(SGD, _start_sgd, MOMENTUM, BUFFERS),
    Family(SGD, _start_sgd, MOMENTUM, _products([{"nesterov": True}], BUFFERS)),
    Family(SGD, _start_sgd, {**MOMENTUM, "dampening": (0.1, 0.5, 0.9)}, BUFFERS),
)


def _weights_decay(flags: Flags, features: Features) -> bool:
    return features.decays


def _pull(features: Features) -> float:
    """The sum of ASGD's ``lambd`` and its weight decay."""
    return (features.shrink or 0.0) / (features.slope or 1.0)


def _start_asgd(point: Numbers, flags: Flags, features: Features) -> Numbers:
    pull = _pull(features)
    if "lambd" in flags:
        return {"lr": features.slope, "weight_decay": pull - USUAL_LAMBD}
    if SHARE in point:
        decay = pull * (1 - point[SHARE])
        return {"lr": features.slope, "lambd": pull * point[SHARE], "weight_decay": decay}
    return {"lr": features.slope, "lambd": pull}


def _pulls_more_than_usual(flags: Flags, features: Features) -> bool:
    return _pull(features) > USUAL_LAMBD


ALPHA = {"alpha": (0.2, 0.5, 0.75, 1.0, 1.5)}
SHARES_OF_PULL = {SHARE: (0.001, 0.01, 0.1, 0.5, 0.9, 0.99)}
DECAYS = [{"decay": decay} for decay in choices_of(ASGD, "decay")]
ASGD_FAMILIES = (
    Family(ASGD, _start_asgd, ALPHA, decays=()),
    Family(
        ASGD,
        _start_asgd,
        ALPHA,
        [{"lambd": USUAL_LAMBD, **decay} for decay in DECAYS],
        decays=(),
        applies=_pulls_more_than_usual,
    ),
    Family(
        ASGD, _start_asgd, {**ALPHA, **SHARES_OF_PULL}, DECAYS, decays=(), applies=_weights_decay
    ),
)


def _start_radam(point: Numbers, flags: Flags, features: Features) -> Numbers:
    """Its second step is not yet adaptive, so that it shows beta1."""
    return {"lr": features.slope, "beta1": min(features.blend, LARGEST_BETA1)}


RADAM = Family(
    RAdam,
    _start_radam,
    {"beta2": BETA2_OF_RADAM, "epsilon": (1e-11, 1e-9, 1e-8, 1e-7, 1e-5, 1e-3, 1e-1)},
    [HAT, OUTSIDE],
)


# Rules that divide each element by the size of its past gradients


def _start_with_epsilon(point: Numbers, flags: Flags, features: Features) -> Numbers:
    """For rules whose first step is lr g / (|g| + epsilon)."""
    return {"lr": features.longest, "epsilon": max(TINY, features.half_gradient)}


def _start_adam(point: Numbers, flags: Flags, features: Features) -> Numbers:
    root = (1 - point["beta2"]) ** 0.5
    corrected = flags.get("bias_correction", True)
    before = flags.get("epsilon_at") is Epsilon.HAT or not corrected
    lr = features.longest if corrected else features.longest * root / (1 - point["beta1"])
    return {"lr": lr, "epsilon": max(TINY, features.half_gradient * (root if before else 1))}


def _start_nadam(point: Numbers, flags: Flags, features: Features) -> Numbers:
    beta1 = point["beta1"]
    decay = point["momentum_decay"]
    now = beta1 * (1 - NADAM_BASE**decay / 2)
    ahead = beta1 * (1 - NADAM_BASE ** (2 * decay) / 2)
    factor = 1 + ahead * (1 - beta1) / (1 - now * ahead)
    return {"lr": features.longest / factor, "epsilon": max(TINY, features.half_gradient)}


def _start_schedule_free(point: Numbers, flags: Flags, features: Features) -> Numbers:
    warmup = {**flags, **point}.get("warmup", 1.0)
    lr = features.longest * max(1.0, warmup)
    return {"lr": lr, "epsilon": max(TINY, features.half_gradient)}


def _start_rmsprop(point: Numbers, flags: Flags, features: Features) -> Numbers:
    inside = flags["epsilon_at"] is Epsilon.INSIDE
    half = features.half_gradient
    rho = point["rho"]
    take = 1 - point["rho"]
    if SHARE not in point:
        epsilon = half**2 * take if inside else half * take**0.5
        return {"lr": features.longest * take**0.5, "epsilon": max(TINY, epsilon)}
    variance = take * rho if flags["centered"] else take
    outside = point[SHARE] * half * take**0.5
    return {
        "lr": features.longest * variance**0.5,
        "initial_mean_square": max(TINY, 3 * (1 - point[SHARE]) * half**2 * take / rho),
        "epsilon": max(TINY, outside**2 if inside else outside),
    }


def _start_adagrad(point: Numbers, flags: Flags, features: Features) -> Numbers:
    """Epsilon under the root is a part of the initial accumulator."""
    lr = features.longest
    half = features.half_gradient
    if SHARE in point:
        return {"lr": lr, "epsilon": half * point[SHARE], "initial_accumulator": half**2}
    if "epsilon" in flags:
        return {"lr": lr, "initial_accumulator": max(TINY, half**2)}
    return {"lr": lr, "epsilon": max(TINY, half)}


def _start_adadelta(point: Numbers, flags: Flags, features: Features) -> Numbers:
    take = 1 - point["rho"]
    epsilon = max(TINY, features.half_gradient**2 * take)
    return {"lr": features.longest * (take / epsilon) ** 0.5, "epsilon": epsilon}


def _start_ftrl(point: Numbers, flags: Flags, features: Features) -> Numbers:
    first = fit_first_step(features)
    share = point[SHARE]
    numbers = {
        "lr": first.lr,
        "initial_accumulator": first.initial_accumulator,
        "l1": first.l1,
        "l2": (1 - share) * first.ridge / 2,
        "beta": share * first.ridge * first.lr,
    }
    return numbers if first.has_usual_power else {**numbers, "lr_power": -first.power}


def _may_be_ftrl(flags: Flags, features: Features) -> bool:
    return fit_first_step(features).fits


def _start_ftrl_without_power(point: Numbers, flags: Flags, features: Features) -> Numbers:
    """The first step is lr (g - l1) / (1 + 2 l2 lr + beta), at large gradients lr g about."""
    share = point[SHARE]
    lr = max(TINY, features.longest / float(probe_scales()[-1]) * (1 + share))
    return {"lr": lr, "l1": features.dead_zone, "beta": share / 2, "l2": share / 4 / lr}


BETAS = {"beta1": BETA1, "beta2": BETA2}
WARMUPS = (2.0, 5.0, 10.0, 20.0, 50.0)
ENDLESS_WARMUP = 1000.0  # beyond the probes, so that only lr / warmup can be known
AMSGRAD = [{"amsgrad": amsgrad} for amsgrad in (False, True)]
CENTERED = [{"centered": centered} for centered in (False, True)]
PLAIN_RMSPROP = _products(CENTERED, [OUTSIDE, INSIDE])
RMSPROP_WITH_BUFFER = _products(PLAIN_RMSPROP, BUFFERS)
RMSPROP: Grid = {"rho": RHO}
RMSPROP_MOMENTUM: Grid = {"rho": RHO, "momentum": (0.5, 0.9)}
RMSPROP_STARTED: Grid = {SHARE: (0.0, 0.5)}  # a mean square that starts above zero
FTRL_GRID: Grid = {"shrinkage": (0.0, 0.01, 0.1, 1.0), SHARE: (0.0, 0.3, 0.7, 1.0)}
FTRL_RIDGE_WITHOUT_POWER: Grid = {"shrinkage": (0.0, 0.1), SHARE: (0.0, 0.5)}
FTRL_DECAYS = {"weight_decay": (1e-3, 0.1)}
FTRL_WITHOUT_POWER = (  # steps are proportional to what of the gradient is beyond l1
    Family(
        FTRL, _start_ftrl_without_power, FTRL_RIDGE_WITHOUT_POWER, [{"lr_power": 0.0}], decays=()
    ),
    Family(
        FTRL,
        _start_ftrl_without_power,
        {**FTRL_RIDGE_WITHOUT_POWER, **FTRL_DECAYS},
        [{"lr_power": 0.0, "decay": decay} for decay in choices_of(FTRL, "decay")],
        (),
        _weights_decay,
    ),
)


def _adagrad_families(late: Grid) -> list[Family]:
    start = _start_adagrad
    return [
        Family(Adagrad, start, late, [OUTSIDE]),
        Family(Adagrad, start, late, [{**OUTSIDE, "epsilon": 0.0}]),
        Family(Adagrad, start, {**late, SHARE: (0.1, 0.5, 0.9)}, [OUTSIDE]),
    ]


FTRL_FAMILIES = (  # it moves weights without a gradient even without decay
    Family(FTRL, _start_ftrl, FTRL_GRID, decays=(), applies=_may_be_ftrl),
    Family(
        FTRL,
        _start_ftrl,
        {**FTRL_GRID, **FTRL_DECAYS},
        [{"decay": decay} for decay in choices_of(FTRL, "decay")],
        (),
        _may_be_ftrl,
    ),
)


ADAPTIVE_FAMILIES = (
    Family(Adam, _start_adam, BETAS, _products([OUTSIDE, HAT, UNCORRECTED], AMSGRAD)),
    Family(RMSprop, _start_rmsprop, RMSPROP, PLAIN_RMSPROP),
    Family(RMSprop, _start_rmsprop, RMSPROP_MOMENTUM, RMSPROP_WITH_BUFFER),
    Family(RMSprop, _start_rmsprop, {**RMSPROP, **RMSPROP_STARTED}, PLAIN_RMSPROP),
    Family(RMSprop, _start_rmsprop, {**RMSPROP_MOMENTUM, **RMSPROP_STARTED}, RMSPROP_WITH_BUFFER),
    *_adagrad_families({}),
    *_adagrad_families({"lr_decay": (1e-3, 1e-1)}),
    Family(Adadelta, _start_adadelta, {"rho": RHO}),
    Family(Adamax, _start_with_epsilon, BETAS, [INSIDE, OUTSIDE]),
    Family(NAdam, _start_nadam, {**BETAS, "momentum_decay": (4e-3, 0.5, 1.0)}),
    Family(ScheduleFree, _start_schedule_free, BETAS),
    Family(
        ScheduleFree, _start_schedule_free, {"beta1": (0.9,), "beta2": BETA2, "warmup": WARMUPS}
    ),
    Family(ScheduleFree, _start_schedule_free, BETAS, [{"warmup": ENDLESS_WARMUP}]),
    *FTRL_FAMILIES,
)


# Rules in which elements of a tensor influence each other


LAMB_FAMILY = Family(
    LAMB,
    _start_adam,
    BETAS,
    [{}, UNCORRECTED],
    probes=WHOLE_TENSORS,
    elementwise=False,
)


def _start_adafactor(point: Numbers, flags: Flags, features: Features) -> Numbers:
    half = features.half_gradient
    shrink = features.shrink or 0.0
    clipped = min(1.0, point["clip"])
    lr = (features.relative_length or 1.0) / clipped
    if flags.get("size_measured_at") is SizeMeasuredAt.AFTER_DECAY and shrink < 1:
        lr /= 1 - shrink
    epsilon1 = 3 * half**2 if flags["epsilon1_at"] is Epsilon.INSIDE else 2 * half
    if features.constant_length:
        epsilon1 = TINY
    return {"lr": lr, "epsilon2": features.longest / lr / clipped, "epsilon1": epsilon1}


def _adafactor_applies(flags: Flags, features: Features) -> bool:
    """Only with a decoupled weight decay there is more than one way to measure a tensor."""
    measured_after = flags["size_measured_at"] is SizeMeasuredAt.AFTER_DECAY
    return not measured_after or flags.get("decay") is Decay.DECOUPLED


ADAFACTOR = Family(
    Adafactor,
    _start_adafactor,
    {"beta2_decay": (-0.4, -0.6, -0.8, -1.0), "clip": (0.25, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)},
    _products(
        [{"epsilon1_at": place} for place in (Epsilon.INSIDE, Epsilon.FLOOR)],
        [{"relative_step": relative} for relative in (True, False)],
        [{"size_measured_at": measured_at} for measured_at in SizeMeasuredAt],
    ),
    applies=_adafactor_applies,
    probes=WHOLE_TENSORS,
    elementwise=False,
)


BY_GRADIENT = (*SGD_FAMILIES, *ASGD_FAMILIES, RADAM, *FTRL_WITHOUT_POWER)
BY_SIZE = (*ADAPTIVE_FAMILIES, *FTRL_WITHOUT_POWER, LAMB_FAMILY, ADAFACTOR)


def likely_variants(features: Features) -> list[Variant]:
    """The variants of all families that the features allow, the more likely ones first.

    SGD is fitted last even where it is impossible: it may be the nearest rule.
    """
    families = list(BY_GRADIENT)
    if not features.linear or not features.longest:  # Adafactor may leave zeros where they are
        families = [family for family in BY_SIZE if family.elementwise is features.elementwise]
        families += SGD_FAMILIES
    if features.elementwise and features.shape_matters:
        families = [family for family in families if family.kind is Adam]
    return list(itertools.chain.from_iterable(family.variants(features) for family in families))
