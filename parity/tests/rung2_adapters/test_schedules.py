"""Schedules: against their equations, against the natives, and in every framework.

Which step is the first with a new rate is a fact of each framework, and stands here as a list of
numbers.
"""

import copy
import hashlib
import io
import json
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.numpy.parts as in_numpy
import samestep.frameworks.pytorch
import samestep.frameworks.pytorch.parts as in_torch
import samestep.frameworks.tensorflow.parts as in_keras
from samestep.parity.measure.bounded import ROUNDOFF
from samestep.parity.tests.support.parts import (
    FURTHER_SCHEDULES,
    SCHEDULES,
    STEPS,
    bounds,
    chained,
    direct,
    holds,
    rates,
)
from samestep.reference import SGD, Adam
from samestep.reference.dialects import Call, Inexpressible, parts
from samestep.reference.dialects.parts.lambda_text import lambda_text
from samestep.reference.parts import (
    After,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    InverseTime,
    OneCycle,
    Piecewise,
    Polynomial,
    Product,
    Schedule,
    Shape,
    Stages,
    Switch,
    WarmUp,
)

pytestmark = pytest.mark.rung(2)

UNSPOKEN = {  # what Keras has no word for, and a part of the reason
    SCHEDULES[11]: "stays at its end",
    SCHEDULES[14]: "only CosineDecay has a warm-up",
    **dict.fromkeys(FURTHER_SCHEDULES[:2], "the decay of CosineDecay begins after its warm-up"),
    **dict.fromkeys(FURTHER_SCHEDULES[10:], "there is no such schedule"),
}


def torch_native(call: Call, lr: float, steps: int = STEPS) -> list[float]:
    """The rates that torch's scheduler sets."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    return followed(optimizer, torch_scheduler(call, optimizer), steps)


def followed(optimizer: Any, scheduler: Any, steps: int = STEPS) -> list[float]:
    """The rates at which an optimizer steps under a scheduler."""
    found = []
    for _ in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def torch_scheduler(call: Call, optimizer: Any) -> Any:
    arguments = dict(call.arguments)
    if "schedulers" in arguments:
        arguments["schedulers"] = [
            torch_scheduler(one, optimizer) for one in arguments["schedulers"]
        ]
    if "lr_lambda" in arguments:  # what a user pastes into a script
        arguments["lr_lambda"] = eval(str(arguments["lr_lambda"]), {"math": math})
    return getattr(torch.optim.lr_scheduler, call.name)(optimizer=optimizer, **arguments)


def keras_native(call: Call, steps: int = STEPS) -> list[float]:
    """The rates of Keras' schedule, called as the optimizer calls it."""
    schedule = getattr(keras.optimizers.schedules, call.name)(**call.arguments)
    return [float(schedule(tf.constant(n, tf.int64))) for n in range(steps)]


# Schedules: truth


def half_wave(lr: Any, end: Any, n: Any, steps: Any) -> Any:
    return end + (lr - end) * (1 + mpmath.cos(mpmath.pi * mpmath.mpf(n) / steps)) / 2


TRUTHS: list[tuple[Schedule, Callable[[int], Any]]] = [
    (Exponential(lr=0.1, factor=0.93), lambda n: mpmath.mpf(0.1) * mpmath.mpf(0.93) ** n),
    (
        Exponential(lr=0.1, factor=0.8, steps=2),
        lambda n: mpmath.mpf(0.1) * mpmath.mpf(0.8) ** (mpmath.mpf(n) / 2),
    ),
    (
        Exponential(lr=0.1, factor=0.8, steps=7),
        lambda n: mpmath.mpf(0.1) * mpmath.mpf(0.8) ** (mpmath.mpf(n) / 7),
    ),
    (
        Exponential(lr=0.1, factor=0.8, steps=7, staircase=True),
        lambda n: mpmath.mpf(0.1) * mpmath.mpf(0.8) ** (n // 7),
    ),
    (
        Polynomial(lr=0.1, end=0.003, steps=23, power=2.0),
        lambda n: (
            mpmath.mpf(0.003) + (mpmath.mpf(0.1) - 0.003) * (1 - mpmath.mpf(min(n, 23)) / 23) ** 2
        ),
    ),
    (
        Polynomial(lr=0.1, steps=23, power=0.9),
        lambda n: mpmath.mpf(0.1) * (1 - mpmath.mpf(min(n, 23)) / 23) ** mpmath.mpf(0.9),
    ),
    (
        Cosine(lr=0.1, end=0.003, steps=23),
        lambda n: half_wave(mpmath.mpf(0.1), mpmath.mpf(0.003), min(n, 23), 23),
    ),
    (
        Cosine(lr=0.1, end=0.003, steps=24, after="RETURN"),
        lambda n: half_wave(mpmath.mpf(0.1), mpmath.mpf(0.003), n, 24),
    ),
    (
        InverseTime(lr=0.1, factor=0.3, steps=7),
        lambda n: mpmath.mpf(0.1) / (1 + mpmath.mpf(0.3) * n / 7),
    ),
    (
        CosineRestarts(lr=0.1, end=0.003, steps=9, factor=0.7),
        lambda n: (
            mpmath.mpf(0.003)
            + (mpmath.mpf(0.1) - mpmath.mpf(0.003))
            * mpmath.mpf(0.7) ** (n // 9)
            * (1 + mpmath.cos(mpmath.pi * (n % 9) / 9))
            / 2
        ),
    ),
    (
        Cyclic(lr=0.01, top=0.1, up=5, down=3, factor=0.7),
        lambda n: (
            mpmath.mpf(0.01)
            + (mpmath.mpf(0.1) - mpmath.mpf(0.01))
            * mpmath.mpf(0.7) ** (n // 8)
            * (mpmath.mpf(n % 8) / 5 if n % 8 <= 5 else mpmath.mpf(8 - n % 8) / 3)
        ),
    ),
    (
        OneCycle(lr=0.1, start=0.02, end=0.003, steps=60, rise=0.21),
        lambda n: (
            half_wave(mpmath.mpf(0.02), mpmath.mpf(0.1), n, mpmath.mpf(0.21 * 60) - 1)
            if n <= 11
            else half_wave(
                mpmath.mpf(0.1),
                mpmath.mpf(0.003),
                n - (mpmath.mpf(0.21 * 60) - 1),
                60 - mpmath.mpf(0.21 * 60),
            )
        ),
    ),
    (
        WarmUp(start=0.02, steps=5, then=Cosine(lr=0.1, steps=40), beneath=True),
        lambda n: (
            mpmath.mpf(0.02) + (mpmath.mpf(0.1) - mpmath.mpf(0.02)) * n / 5
            if n < 5
            else half_wave(mpmath.mpf(0.1), 0, min(n, 40), 40)
        ),
    ),
    (
        WarmUp(start=0.02, steps=5, then=Cosine(lr=0.1, steps=40)),
        lambda n: (
            (
                mpmath.mpf(0.02) + (mpmath.mpf(0.1) - 0.02) * n / 5
                if n < 5
                else half_wave(mpmath.mpf(0.1), 0, n - 5, 40)
            )
            if n < 45
            else mpmath.mpf(0)
        ),
    ),
]


@pytest.mark.parametrize(("schedule", "equation"), TRUTHS, ids=[repr(truth[0]) for truth in TRUTHS])
def test_schedule_computes_its_equation(schedule: Schedule, equation: Callable[[int], Any]) -> None:
    """Against the equation in 50 digits, within the rounding of the formula."""
    with mpmath.workdps(50):
        expected = [float(equation(n)) for n in range(STEPS)]
    own = [
        b + ROUNDOFF["float64"] * e
        for b, e in zip(bounds(schedule, "float64"), expected, strict=True)
    ]
    verdict = holds(expected, rates(schedule), own)
    assert verdict.holds, str(verdict)
    late = holds([expected[0], *expected[:-1]], rates(schedule), own)
    assert not late.holds, "the limit would let a schedule through that is a step late"


def test_ends_are_exact() -> None:
    """The first rate is lr to the last digit, the last is end, and half a cosine goes by their
    middle.
    """
    for kind in (Polynomial, Cosine):
        schedule = kind(lr=0.1, end=0.003, steps=23)
        assert (schedule.rate(1), schedule.rate(24), schedule.rate(1000)) == (0.1, 0.003, 0.003)
    warm = WarmUp(start=0.003, steps=7, then=Cosine(lr=0.1, steps=5))
    assert (warm.rate(1), warm.rate(8), warm.rate(13), warm.rate(14)) == (0.003, 0.1, 0.0, 0.0)
    assert Cosine(lr=0.1, steps=5, after="RETURN").rate(11) == 0.1
    assert Cosine(lr=1.0, steps=24).rate(13) == 0.5


def test_bits_of_a_cosine_are_those_on_record() -> None:
    """Nothing but sums, products and quotients makes them, so that they are the same on every
    machine.
    """
    waves = [rates(Cosine(lr=0.1, end=0.003, steps=steps), steps + 1) for steps in range(1, 200)]
    found = hashlib.sha256(np.concatenate(waves).astype("<f8").tobytes()).hexdigest()
    assert found.startswith("638bcbf68cdb4196")


def test_whole_powers_are_products() -> None:
    """And not the platform's power, whose last digits are its own."""
    rest = [(23 - n) / 23 for n in range(23)]
    told = rates(Polynomial(lr=1.0, steps=23, power=3.0), len(rest))
    assert told == [x * (x * x) for x in rest]
    assert told != [x**3 for x in rest]


# Schedules: natives


RECURSIVE = (  # torch's schedulers that multiply the last rate
    "ConstantLR", "LinearLR", "StepLR", "MultiStepLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "SequentialLR",
)  # fmt: skip


def torch_limit(call: Call, schedule: Schedule, steps: int) -> Any:
    """How far torch's scheduler may be from the schedule by rounding."""
    if isinstance(schedule, Stages):  # every factor and every product since the first step
        roundings = [3 * ROUNDOFF["float64"] * (n + 1) for n in range(steps)]
        return np.multiply(roundings, rates(schedule, steps))
    if isinstance(schedule, Product):
        each_step = 3 * len(schedule.factors) * ROUNDOFF["float64"]
        return np.multiply(each_step * np.arange(1, steps + 1), max(rates(schedule, steps)))
    if call.name in RECURSIVE:
        return np.add(bounds(schedule, "float64", steps), chained(schedule, steps))
    _, text = lambda_text(schedule) or (1.0, FORMULA)
    return direct(schedule, text, steps)


FORMULA = "eta_min + (base_lr - eta_min) * (1 + math.cos(math.pi * T_cur / T_i)) / 2"  # of torch


@pytest.mark.parametrize("schedule", [*SCHEDULES, *FURTHER_SCHEDULES], ids=repr)
def test_schedule_spelled_for_torch_has_its_rates(schedule: Schedule) -> None:
    """The native made from the spelled call, against the schedule; one step late is beyond the
    limit.
    """
    call = parts.pytorch.spell_schedule(schedule)
    lr = float(call.condition.split("lr=")[1].split(",")[0])
    steps = schedule.steps + 1 if "for the first" in call.condition else STEPS  # type: ignore[attr-defined]
    if "after the warm-up" in call.condition:
        steps = 46
    if isinstance(schedule, OneCycle):  # then torch's goes on beyond its end
        steps = min(steps, schedule.steps)
    native = torch_native(call, lr, steps)
    limit = torch_limit(call, schedule, steps)
    verdict = holds(rates(schedule, steps), native, limit)
    assert verdict.holds, f"{call}: {verdict}"
    if not isinstance(schedule, Constant):
        assert not holds(rates(schedule, steps + 1)[1:], native, limit).holds


def keras_limit(schedule: Schedule) -> Any:
    """How far Keras' schedule may be from ours by rounding in float32.

    Restarts are found by a quotient, from which the whole cycles are taken away: three roundings of
    the quotient (of two logarithms, too, where cycles lengthen) remain in the fraction of a cycle,
    and the wave falls by at most pi / 2 of its height a cycle.
    """
    limit = bounds(schedule, "float32")
    if not isinstance(schedule, CosineRestarts):
        return limit
    quotients = [3 * ROUNDOFF["float32"] * (1 + n / schedule.steps) for n in range(STEPS)]
    return np.add(limit, np.multiply(quotients, schedule.lr * math.pi / 2))


@pytest.mark.parametrize("schedule", [*SCHEDULES, *FURTHER_SCHEDULES], ids=repr)
def test_schedule_spelled_for_keras_has_its_rates(schedule: Schedule) -> None:
    """The native made from the spelled call, in its float32; one step late is beyond the limit."""
    if schedule in UNSPOKEN:
        with pytest.raises(Inexpressible, match=UNSPOKEN[schedule]):
            parts.keras.spell_schedule(schedule)
        return
    native, limit = keras_native(parts.keras.spell_schedule(schedule)), keras_limit(schedule)
    verdict = holds(rates(schedule), native, limit)
    assert verdict.holds, str(verdict)
    if not isinstance(schedule, Constant):
        assert not holds(rates(schedule, STEPS + 1)[1:], native, limit).holds


TORCH_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.25, "total_iters": 10}),
    ("StepLR", {"step_size": 4}),
    ("MultiStepLR", {"milestones": [3, 3, 8], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [0, 8]}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 17, "power": 1.5}),
    ("CosineAnnealingLR", {"T_max": 20}),
    ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 3, "eta_min": 0.01}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 60, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.3, "epochs": 6, "steps_per_epoch": 10, "pct_start": 0.25,
     "anneal_strategy": "linear", "three_phase": True, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 60, "pct_start": 0.0, "div_factor": 10,
     "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 60, "pct_start": 0.7, "three_phase": True,
     "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 70, "pct_start": 1.0, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "step_size_down": 3,
     "mode": "triangular2", "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3, "step_size_down": 7,
     "mode": "exp_range", "gamma": 0.97, "cycle_momentum": False}),
    ("SequentialLR", {"schedulers": [Call("LinearLR", {"total_iters": 4}),
     Call("StepLR", {"step_size": 5})], "milestones": [6]}),
    ("SequentialLR", {"schedulers": [Call("ConstantLR", {"factor": 0.5, "total_iters": 3}),
     Call("ExponentialLR", {"gamma": 0.9}), Call("CosineAnnealingLR", {"T_max": 9})],
     "milestones": [5, 12]}),
    ("ChainedScheduler", {"schedulers": [Call("ConstantLR", {}),
     Call("ExponentialLR", {"gamma": 0.9}), Call("MultiStepLR", {"milestones": [4, 9]})]}),
    ("ChainedScheduler", {"schedulers": [Call("LinearLR", {}),
     Call("PolynomialLR", {"total_iters": 20}), Call("StepLR", {"step_size": 5})]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), TORCH_CALLS, ids=str)
def test_torch_scheduler_is_read_as_it_acts(name: str, arguments: dict[str, Any]) -> None:
    """Defaults, zero and repeated milestones included."""
    schedule = parts.pytorch.read_schedule(name, lr=0.1, **arguments)
    limit = torch_limit(Call(name, arguments), schedule, STEPS)
    verdict = holds(rates(schedule), torch_native(Call(name, arguments), 0.1), limit)
    assert verdict.holds, str(verdict)


MOMENTUM_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 60}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 60, "three_phase": True, "base_momentum": 0.5,
     "anneal_strategy": "linear"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "mode": "triangular2",
     "max_momentum": 0.95}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), MOMENTUM_CALLS, ids=str)
def test_momentum_of_a_cycle_is_read_as_it_moves(name: str, arguments: dict[str, Any]) -> None:
    """Beside the rate: torch's SGD has the momentum of the schedule that is read."""
    with pytest.raises(Inexpressible, match=r"moves the momentum.*read_momentum\("):
        parts.pytorch.read_schedule(name, lr=0.1, **arguments)
    momentum = parts.pytorch.read_momentum(name, **arguments)
    rate = parts.pytorch.read_schedule(name, lr=0.1, **{**arguments, "cycle_momentum": False})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.3)
    scheduler, native = torch_scheduler(Call(name, arguments), optimizer), []
    for _ in range(STEPS):
        native.append([optimizer.param_groups[0][key] for key in ("lr", "momentum")])
        optimizer.step()
        scheduler.step()
    for schedule, values in zip((rate, momentum), np.transpose(native), strict=True):
        limit = torch_limit(Call(name, arguments), schedule, STEPS)
        assert holds(rates(schedule), values, limit).holds


def random_schedule(random: np.random.Generator) -> Schedule:
    """A schedule of any kind but those that are made of others."""

    def chosen(*values: Any) -> Any:
        return values[random.integers(len(values))]

    ends = {"lr": chosen(0.1, 0.5, 0.001), "end": chosen(0.0, 0.01, 0.2)}
    steps = {"steps": int(random.integers(1, 13))}
    factor, flag = chosen(1.0, 0.5, 0.9), chosen(True, False)
    boundaries = sorted(random.choice(20, 2, replace=False).tolist())
    switch, shape, after = chosen(*Switch), chosen(*Shape), chosen(*After)
    cycle = {"start": 0.03, "steps": steps["steps"] + 12, "rise": float(random.random())}
    kinds: list[Callable[[], Schedule]] = [
        lambda: Constant(lr=ends["lr"]),
        lambda: Piecewise(boundaries=boundaries, rates=[0.3, *ends.values()], switch=switch),
        lambda: Exponential(lr=ends["lr"], factor=0.9, **steps, staircase=flag),
        lambda: Polynomial(**ends, **steps, power=chosen(1.0, 2.0, 0.5), cycle=flag),
        lambda: Cosine(**ends, **steps, after=after),
        lambda: InverseTime(lr=ends["lr"], factor=0.3, **steps, staircase=flag),
        lambda: CosineRestarts(**ends, **steps, lengthen=chosen(1, 2), factor=factor),
        lambda: Cyclic(lr=ends["end"], top=ends["lr"], up=steps["steps"], down=4, factor=factor,
                       each_step=flag),
        lambda: OneCycle(**ends, **cycle, shape=shape, three_phases=flag),
    ]  # fmt: skip
    return chosen(*kinds)()


def random_combination(random: np.random.Generator) -> Schedule:
    first, second = random_schedule(random), random_schedule(random)
    steps = int(random.integers(1, 13))
    match random.integers(4):
        case 0:
            return first
        case 1:
            return WarmUp(start=0.05, steps=steps, then=first, beneath=bool(steps % 2))
        case 2:
            return Stages(schedules=[first, second, first], boundaries=[steps, steps + 9])
    return Product(lr=0.1, factors=[first, second])


def test_any_schedule_can_be_said_as_a_lambda() -> None:
    """400 drawn at random: LambdaLR with the text, in torch, against the schedule."""
    random = np.random.default_rng(5)
    for _ in range(400):
        schedule = random_combination(random)
        lr, text = lambda_text(schedule)  # type: ignore[misc]
        native = torch_native(Call("LambdaLR", {"lr_lambda": text}), lr)
        verdict = holds(rates(schedule), native, direct(schedule, text))
        assert verdict.holds, f"{schedule}: {text}: {verdict}"


def test_rate_leaps_to_what_has_run_beneath_the_warm_up() -> None:
    """The example of BERT: 100 steps from 5e-5, and 50 of warm-up; and one after the other."""
    decay = Polynomial(lr=5e-5, steps=100)
    beneath = WarmUp(steps=50, then=decay, beneath=True)
    after = WarmUp(steps=50, then=Polynomial(lr=5e-5, steps=50))
    results = [[float(f"{x.rate(n):.6g}") for n in (50, 51, 52)] for x in (beneath, after)]
    assert results == [[4.9e-5, 2.5e-5, 2.45e-5], [4.9e-5, 5e-5, 4.9e-5]]
    assert str(parts.pytorch.spell_schedule(beneath)) == (
        "LambdaLR(lr_lambda=lambda n: (n / 50) if n < 50 else (1 - min(n, 100) / 100))  "
        "# on an optimizer with lr=5e-05"
    )


KERAS_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("PiecewiseConstantDecay", {"boundaries": [3, 8], "values": [0.3, 0.2, 0.1]}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.9}),
    ("ExponentialDecay",
     {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.9, "staircase": True}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    ("PolynomialDecay",
     {"initial_learning_rate": 0.1, "decay_steps": 20, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 8.0, "cycle": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 1.0, "decay_rate": 0.5}),
    ("InverseTimeDecay",
     {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.25, "staircase": True}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    ("CosineDecayRestarts",
     {"initial_learning_rate": 0.1, "first_decay_steps": 9, "t_mul": 1.0, "m_mul": 0.5,
      "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    ("CosineDecay",
     {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1, "warmup_steps": 5}),
    ("CosineDecay",
     {"initial_learning_rate": 0.01, "decay_steps": 20, "alpha": 0.1, "warmup_target": 0.1,
                     "warmup_steps": 5}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 20, "warmup_target": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), KERAS_CALLS, ids=str)
def test_keras_schedule_is_read_as_it_acts(name: str, arguments: dict[str, Any]) -> None:
    """Defaults included; warmup_steps without a target is ignored."""
    schedule = parts.keras.read_schedule(name, **arguments)
    verdict = holds(rates(schedule), keras_native(Call(name, arguments)), keras_limit(schedule))
    assert verdict.holds, str(verdict)


# Schedules: the steps at which they change


def test_torch_changes_after_as_many_steps_as_its_milestone_says() -> None:
    """MultiStepLR and StepLR: the fourth step is the first with the new rate."""
    expected = [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert (
        torch_native(Call("MultiStepLR", {"milestones": [3, 6], "gamma": 0.5}), 0.5, 7) == expected
    )
    assert torch_native(Call("StepLR", {"step_size": 3, "gamma": 0.5}), 0.5, 7) == expected
    assert (
        rates(parts.pytorch.read_schedule("MultiStepLR", lr=0.5, milestones=[3, 6], gamma=0.5), 7)
        == expected
    )
    assert (
        rates(parts.pytorch.read_schedule("StepLR", lr=0.5, step_size=3, gamma=0.5), 7) == expected
    )


def test_keras_changes_one_step_later_than_its_boundary_says() -> None:
    """PiecewiseConstantDecay: with boundary 3 the fifth step is the first; ExponentialDecay's
    staircase is torch's.
    """
    expected = [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    arguments = {"boundaries": [3, 6], "values": [0.5, 0.25, 0.125]}
    assert keras_native(Call("PiecewiseConstantDecay", arguments), 8) == expected
    assert rates(parts.keras.read_schedule("PiecewiseConstantDecay", **arguments), 8) == expected
    stairs = {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}
    assert keras_native(Call("ExponentialDecay", stairs), 7) == [
        0.5,
        0.5,
        0.5,
        0.25,
        0.25,
        0.25,
        0.125,
    ]


def test_translated_boundary_is_one_less_in_keras() -> None:
    """And one more on the way back."""
    schedule = parts.pytorch.read_schedule("MultiStepLR", lr=0.5, milestones=[3, 6], gamma=0.5)
    call = parts.keras.spell_schedule(schedule)
    assert str(call) == "PiecewiseConstantDecay(boundaries=[2, 5], values=[0.5, 0.25, 0.125])"
    back = parts.pytorch.spell_schedule(parts.keras.read_schedule(call.name, **call.arguments))
    assert str(back) == "MultiStepLR(milestones=[3, 6], gamma=0.5)  # on an optimizer with lr=0.5"


def test_cosine_of_torch_rises_again_and_that_of_keras_stays() -> None:
    """From the step after the lowest on."""
    up = torch_native(Call("CosineAnnealingLR", {"T_max": 4}), 1.0, 9)
    flat = keras_native(Call("CosineDecay", {"initial_learning_rate": 1.0, "decay_steps": 4}), 9)
    assert [round(rate, 6) for rate in up] == [
        1,
        0.853553,
        0.5,
        0.146447,
        0,
        0.146447,
        0.5,
        0.853553,
        1,
    ]
    assert [round(rate, 6) for rate in flat] == [1, 0.853553, 0.5, 0.146447, 0, 0, 0, 0, 0]
    read = parts.pytorch.read_schedule("CosineAnnealingLR", lr=1.0, T_max=4)
    assert [round(rate, 6) for rate in rates(read, 9)] == [round(rate, 6) for rate in up]
    kept = parts.keras.read_schedule("CosineDecay", initial_learning_rate=1.0, decay_steps=4)
    assert [round(rate, 6) for rate in rates(kept, 9)] == [round(rate, 6) for rate in flat]


def test_first_step_of_a_warm_up_moves_nothing_in_keras_and_a_third_in_torch() -> None:
    """Keras begins at initial_learning_rate, torch's LinearLR by default at a third; decay counts
    from the warm-up.
    """
    warm = {"initial_learning_rate": 0.0, "warmup_target": 1.0, "warmup_steps": 2, "decay_steps": 2}
    assert [round(rate, 6) for rate in keras_native(Call("CosineDecay", warm), 6)] == [
        0,
        0.5,
        1,
        0.5,
        0,
        0,
    ]
    assert rates(parts.keras.read_schedule("CosineDecay", **warm), 6)[:3] == [0.0, 0.5, 1.0]
    assert torch_native(Call("LinearLR", {"total_iters": 2}), 0.75, 4)[0] == 0.25
    assert rates(parts.pytorch.read_schedule("LinearLR", lr=0.75, total_iters=2), 4) == [
        0.25,
        0.5,
        0.75,
        0.75,
    ]


def test_polynomial_reaches_its_end_after_as_many_steps_as_it_says() -> None:
    """Step 5 of 4 is the first at the end, in both."""
    assert torch_native(Call("PolynomialLR", {"total_iters": 4}), 1.0, 6) == [
        1.0,
        0.75,
        0.5,
        0.25,
        0.0,
        0.0,
    ]
    arguments = {"initial_learning_rate": 1.0, "decay_steps": 4, "end_learning_rate": 0.0}
    assert keras_native(Call("PolynomialDecay", arguments), 6) == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert rates(Polynomial(lr=1.0, steps=4), 6) == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def test_constant_factor_of_no_steps_is_never_undone_in_torch() -> None:
    """ConstantLR(total_iters=0) keeps its factor; with 1 the second step is whole."""
    assert torch_native(Call("ConstantLR", {"factor": 0.5, "total_iters": 0}), 1.0, 3) == [
        0.5,
        0.5,
        0.5,
    ]
    assert torch_native(Call("ConstantLR", {"factor": 0.5, "total_iters": 1}), 1.0, 3) == [
        0.5,
        1.0,
        1.0,
    ]
    assert rates(
        parts.pytorch.read_schedule("ConstantLR", lr=1.0, factor=0.5, total_iters=0), 3
    ) == [0.5, 0.5, 0.5]
    assert rates(
        parts.pytorch.read_schedule("ConstantLR", lr=1.0, factor=0.5, total_iters=1), 3
    ) == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("counted", [False, True])
def test_schedule_of_keras_counts_batches_under_accumulation(counted: bool) -> None:
    """Of four batches a step Keras sees 3, 7, 11; ours, told so, counts the steps."""
    schedule = Piecewise(boundaries=[1, 2], rates=[0.5, 0.25, 0.125])
    ours = in_keras.Schedule(schedule, gradient_accumulation_steps=4 if counted else 1)
    variable = tf.Variable([0.0])
    optimizer = keras.optimizers.SGD(ours, gradient_accumulation_steps=4)
    optimizer.build([variable])
    for _ in range(12):
        optimizer.apply([tf.constant([1.0])])
    assert variable.numpy().tolist() == [
        -(0.5 + 0.25 + 0.125) if counted else -(0.125 + 0.125 + 0.125)
    ]


# Schedules: adapters


@pytest.mark.parametrize("schedule", [*SCHEDULES, *FURTHER_SCHEDULES], ids=repr)
def test_schedule_in_a_graph_has_the_doubles_of_the_host(schedule: Schedule) -> None:
    """To the last bit, eagerly too; a fractional power is TensorFlow's own and held to its
    rounding.
    """
    ours, taken = in_keras.Schedule(schedule), tf.Variable(0, dtype=tf.int64)
    graph = tf.function(lambda: ours(taken))
    found, eager = [], []
    for n in range(STEPS):
        taken.assign(n)
        found.append(float(graph()))
        eager.append(float(ours(taken)))
    assert graph().dtype == ours(taken).dtype == tf.float64
    assert eager == rates(schedule)
    platform = (
        getattr(schedule, "power", 1.0) % 1
        or repr(schedule) == "Exponential(lr=0.1, factor=0.8, steps=7)"
    )
    limit = bounds(schedule, "float64") if platform else [0.0] * STEPS
    verdict = holds(rates(schedule), found, limit)
    assert verdict.holds, str(verdict)


def test_schedule_under_xla_stays_within_its_rounding() -> None:
    """XLA fuses products and sums."""
    schedule, taken = SCHEDULES[13], tf.Variable(0, dtype=tf.int64)
    ours, found = in_keras.Schedule(schedule), []
    compiled = tf.function(lambda: ours(taken), jit_compile=True)
    for n in range(STEPS):
        taken.assign(n)
        found.append(float(compiled()))
    verdict = holds(rates(schedule), found, bounds(schedule, "float64"))
    assert verdict.holds, str(verdict)


def test_torch_scheduler_sets_the_doubles_of_the_schedule() -> None:
    """With our optimizer and with torch's, whatever the group's rate was."""
    for schedule in (*SCHEDULES, *FURTHER_SCHEDULES):
        params = [torch.nn.Parameter(torch.zeros(1))]
        for optimizer in (
            samestep.frameworks.pytorch.Optimizer(params, SGD(lr=7.0)),
            torch.optim.Adam(params, lr=7.0),
        ):
            assert followed(optimizer, in_torch.Scheduler(optimizer, schedule)) == rates(
                schedule
            ), repr(schedule)


def test_numpy_scheduler_sets_the_doubles_of_the_schedule() -> None:
    """From the first step on."""
    optimizer, found = samestep.frameworks.numpy.Optimizer([np.zeros(1)], SGD(lr=7.0)), []
    scheduler = in_numpy.Scheduler(optimizer, SCHEDULES[13])
    for _ in range(STEPS):
        found.append(optimizer.lr)
        scheduler.step()
    assert found == rates(SCHEDULES[13])


def test_numpy_scheduler_goes_on_from_a_saved_state() -> None:
    """In a file of plain values; under another schedule it refuses."""
    optimizer = samestep.frameworks.numpy.Optimizer([np.zeros(1)], SGD(lr=7.0))
    scheduler = in_numpy.Scheduler(optimizer, FURTHER_SCHEDULES[0])
    for _ in range(6):
        scheduler.step()
    state = json.loads(json.dumps(scheduler.state_dict()))
    resumed = samestep.frameworks.numpy.Optimizer([np.zeros(1)], SGD(lr=7.0))
    after = in_numpy.Scheduler(resumed, FURTHER_SCHEDULES[0])
    after.load_state_dict(state)
    assert resumed.lr == FURTHER_SCHEDULES[0].rate(7)
    after.step()
    assert resumed.lr == FURTHER_SCHEDULES[0].rate(8)
    with pytest.raises(ValueError, match=r"must belong to Constant\(lr=0.5\), got WarmUp"):
        in_numpy.Scheduler(resumed, Constant(lr=0.5)).load_state_dict(state)


def test_torch_groups_may_have_schedules_of_their_own() -> None:
    """One each, or an error that says how many."""
    a, b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = samestep.frameworks.pytorch.Optimizer([{"params": [a]}, {"params": [b]}], SGD())
    in_torch.Scheduler(optimizer, [Constant(lr=0.5), Constant(lr=0.25)])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    with pytest.raises(ValueError, match="one for each of 2 groups, got 1"):
        in_torch.Scheduler(optimizer, [Constant(lr=0.5)])


def test_torch_scheduler_survives_saving_without_pickle() -> None:
    """Interrupted, it goes on at the same step; under another schedule it refuses."""
    optimizer = samestep.frameworks.pytorch.Optimizer([torch.nn.Parameter(torch.zeros(1))], SGD())
    scheduler, file = in_torch.Scheduler(optimizer, SCHEDULES[13]), io.BytesIO()
    followed(optimizer, scheduler, 10)
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    after = in_torch.Scheduler(optimizer, SCHEDULES[13])
    after.load_state_dict(state)
    assert after.get_last_lr() == [SCHEDULES[13].rate(11)]
    optimizer.step()
    after.step()
    assert optimizer.param_groups[0]["lr"] == SCHEDULES[13].rate(12)
    with pytest.raises(ValueError, match=r"must belong to \[Constant\(lr=0.5\)\], got"):
        in_torch.Scheduler(optimizer, Constant(lr=0.5)).load_state_dict(state)


def test_torch_scheduler_made_after_loading_the_optimizer_leaves_no_step_at_the_first_rate() -> (
    None
):
    """Loading sets every group's rate, a number or a tensor, so a resumed run has equal bits."""
    schedules = [SCHEDULES[13], Constant(lr=0.25)]

    def training() -> tuple[Any, list[Any]]:
        a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
        groups = [{"params": [a]}, {"params": [b], "lr": torch.tensor(7.0, dtype=torch.float64)}]
        return samestep.frameworks.pytorch.Optimizer(groups, Adam()), [a, b]

    def train(optimizer: Any, scheduler: Any, thetas: list[Any]) -> None:
        for _ in range(4):
            for theta in thetas:
                theta.grad = theta.detach() * 2
            optimizer.step()
            scheduler.step()

    unbroken, thetas = training()
    scheduler = in_torch.Scheduler(unbroken, schedules)
    train(unbroken, scheduler, thetas)
    saved = copy.deepcopy(
        (unbroken.state_dict(), scheduler.state_dict(), [x.detach() for x in thetas])
    )
    train(unbroken, scheduler, thetas)

    resumed, others = training()
    resumed.load_state_dict(saved[0])
    after = in_torch.Scheduler(resumed, schedules)
    after.load_state_dict(saved[1])
    with torch.no_grad():
        for theta, value in zip(others, saved[2], strict=True):
            theta.copy_(value)
    rates = [schedule.rate(5) for schedule in schedules]
    assert [float(group["lr"]) for group in resumed.param_groups] == rates
    assert [float(lr) for lr in after.get_last_lr()] == rates
    assert isinstance(resumed.param_groups[1]["lr"], torch.Tensor)
    train(resumed, after, others)
    assert all(map(torch.equal, thetas, others))


def test_keras_schedule_survives_its_config() -> None:
    """Nested parts, tuples and choices included."""
    for schedule in (*SCHEDULES, *FURTHER_SCHEDULES):
        ours = in_keras.Schedule(schedule, gradient_accumulation_steps=3)
        text = keras.optimizers.schedules.serialize(ours)
        back = keras.saving.deserialize_keras_object(text)
        assert (back.schedule, back.accumulation.steps) == (schedule, 3)
