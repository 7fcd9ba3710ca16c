"""How PyTorch writes a schedule: torch 2.13, torch/optim/lr_scheduler.py.

A scheduler scales the optimizer's own ``lr`` and counts the calls of ``scheduler.step()``; a
milestone m takes effect after m of them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import (
    After,
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
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
from samestep.reference.parts.kinds import (
    require_schedule,
)
from samestep.reference.scalars import integer_power

from .lambda_text import lambda_text
from .signatures import REQUIRED, Signatures, choice, complete

OURS = "samestep.frameworks.pytorch.parts.Scheduler(optimizer, schedule)"

SCHEDULERS: Signatures = {
    "ConstantLR": {"factor": 1 / 3, "total_iters": 5},
    "LinearLR": {"start_factor": 1 / 3, "end_factor": 1.0, "total_iters": 5},
    "StepLR": {"step_size": REQUIRED, "gamma": 0.1},
    "MultiStepLR": {"milestones": REQUIRED, "gamma": 0.1},
    "ExponentialLR": {"gamma": REQUIRED},
    "PolynomialLR": {"total_iters": 5, "power": 1.0},
    "CosineAnnealingLR": {"T_max": REQUIRED, "eta_min": 0.0},
    "CosineAnnealingWarmRestarts": {"T_0": REQUIRED, "T_mult": 1, "eta_min": 0.0},
    "CyclicLR": {
        "base_lr": REQUIRED, "max_lr": REQUIRED, "step_size_up": 2000, "step_size_down": None,
        "mode": "triangular", "gamma": 1.0, "scale_fn": None, "scale_mode": "cycle",
        "cycle_momentum": True, "base_momentum": 0.8, "max_momentum": 0.9,
    },
    "OneCycleLR": {
        "max_lr": REQUIRED, "total_steps": None, "epochs": None, "steps_per_epoch": None,
        "pct_start": 0.3, "anneal_strategy": "cos", "cycle_momentum": True, "base_momentum": 0.85,
        "max_momentum": 0.95, "div_factor": 25.0, "final_div_factor": 1e4, "three_phase": False,
    },
    "SequentialLR": {"schedulers": REQUIRED, "milestones": REQUIRED},
    "ChainedScheduler": {"schedulers": REQUIRED},
}  # fmt: skip
NOT_READ = {  # schedulers that are no schedule: why, and what to use
    "LambdaLR": (
        "its rate is whatever a function computes, and functions are not executed here",
        "the part that computes it, such as "
        "WarmUp(steps=100, then=Polynomial(lr=0.1, steps=1000)), or LambdaLR itself",
    ),
    "MultiplicativeLR": (
        "its rate is whatever a function computes, and functions are not executed here",
        "the part that computes it, such as Exponential(lr=0.1, factor=0.95), or MultiplicativeLR "
        "itself",
    ),
    "ReduceLROnPlateau": (
        "its rate depends on a measured value, not on the step alone",
        "read_plateau('ReduceLROnPlateau', ...)",
    ),
    "SWALR": (
        "it starts from the rate that another scheduler has reached",
        "Stages(schedules=[...], boundaries=[...]) with the rates themselves, or SWALR itself",
    ),
}
CHAINED = (  # the schedulers that multiply the rate, so that in a chain their factors multiply
    "ConstantLR", "LinearLR", "StepLR", "MultiStepLR", "ExponentialLR", "PolynomialLR",
)  # fmt: skip
COMBINED = ("SequentialLR", "ChainedScheduler")
SETS_THE_RATE = ("OneCycleLR", "CyclicLR")  # of the optimizer, which other schedulers start from


def read_schedule(name: str, /, lr: float, **arguments: Any) -> Schedule:
    """The schedule of ``torch.optim.lr_scheduler.<name>(optimizer, **arguments)``.

    ``lr`` is the optimizer's learning rate. The ``schedulers`` of SequentialLR and
    ChainedScheduler are ``Call``s or schedules.

    Exact arithmetic: torch multiplies from step to step. Raises ValueError for an unknown name or
    argument, for one that is missing and for a value out of range; Inexpressible for a scheduler
    that is no function of the step alone, and where momentum moves with the rate.
    """
    if name in NOT_READ:
        raise Inexpressible(f"{name} as a schedule", *NOT_READ[name])
    if arguments.pop("last_epoch", -1) != -1:
        why = "a schedule here starts with the first step"
        raise Inexpressible(f"last_epoch in {name}", why, "its rate(step) from a later step on")
    a = complete("torch.optim.lr_scheduler", SCHEDULERS, name, arguments)
    match name:
        case "ConstantLR":
            if not a["total_iters"]:
                # torch multiplies back when its count, 1 at first, equals total_iters: never
                return Constant(lr=lr * a["factor"])
            return Piecewise(boundaries=[a["total_iters"]], rates=[lr * a["factor"], lr])
        case "LinearLR":
            return Polynomial(
                lr=lr * a["start_factor"], end=lr * a["end_factor"], steps=a["total_iters"]
            )
        case "StepLR":
            return Exponential(lr=lr, factor=a["gamma"], steps=a["step_size"], staircase=True)
        case "MultiStepLR":
            milestones = sorted(a["milestones"])
            rates = [lr * integer_power(a["gamma"], k) for k in range(len(milestones) + 1)]
            return Piecewise(boundaries=milestones, rates=rates)
        case "ExponentialLR":
            return Exponential(lr=lr, factor=a["gamma"])
        case "PolynomialLR":
            return Polynomial(lr=lr, steps=a["total_iters"], power=a["power"])
        case "CosineAnnealingLR":
            return Cosine(lr=lr, end=a["eta_min"], steps=a["T_max"], after=After.RETURN)
        case "CosineAnnealingWarmRestarts":
            return CosineRestarts(lr=lr, end=a["eta_min"], steps=a["T_0"], lengthen=a["T_mult"])
        case "SequentialLR":
            return _read_sequence(lr, a["schedulers"], a["milestones"])
        case "ChainedScheduler":
            return _read_chain(lr, a["schedulers"])
    if a["cycle_momentum"]:
        why = "it moves the momentum with the rate, and a schedule gives the rate alone"
        instead = (
            "cycle_momentum=False; the values of the momentum are "
            f"read_momentum({name!r}, ...).rate(step)"
        )
        raise Inexpressible(f"{name}(cycle_momentum=True)", why, instead)
    return _read_cycle(name, a, (a["base_lr"] if name == "CyclicLR" else lr, a["max_lr"]))


def read_momentum(name: str, /, **arguments: Any) -> Schedule:
    """The momentum, or the first of betas, that OneCycleLR or CyclicLR sets for each step.

    ``rate(step)`` of the result is the momentum. ValueError as in ``read_schedule``.
    """
    known = {key: SCHEDULERS[key] for key in ("CyclicLR", "OneCycleLR")}
    a = complete("torch.optim.lr_scheduler, with momentum,", known, name, arguments)
    low, high = a["base_momentum"], a["max_momentum"]
    if name == "CyclicLR":
        return _read_cycle(name, a, (high, low))
    turned = {**a, "div_factor": low / high if high else 1.0, "final_div_factor": 1.0}
    return _read_cycle(name, turned, (high, low))


def _read_cycle(name: str, a: dict[str, Any], ends: tuple[float, float]) -> Schedule:
    """CyclicLR or OneCycleLR, between the values ``ends``: where it begins, and where it turns."""
    if name == "CyclicLR":
        return _read_triangle(a, ends)
    steps = a["total_steps"]
    if steps is None:
        if a["epochs"] is None or a["steps_per_epoch"] is None:
            raise ValueError("OneCycleLR must be given total_steps, or epochs and steps_per_epoch")
        steps = a["epochs"] * a["steps_per_epoch"]
    start = ends[1] / a["div_factor"]
    return OneCycle(
        lr=ends[1],
        start=start,
        end=start / a["final_div_factor"],
        steps=steps,
        rise=a["pct_start"],
        shape=choice(
            "anneal_strategy", a["anneal_strategy"], {"cos": Shape.COSINE, "linear": Shape.LINE}
        ),
        three_phases=a["three_phase"],
    )


def _read_triangle(a: dict[str, Any], ends: tuple[float, float]) -> Cyclic:
    if a["scale_fn"] is not None:
        why = "functions are not executed here"
        instead = "mode='triangular2' or 'exp_range', or CyclicLR itself"
        raise Inexpressible("CyclicLR(scale_fn=...)", why, instead)
    factors = {"triangular": 1.0, "triangular2": 0.5, "exp_range": a["gamma"]}
    up = a["step_size_up"]
    return Cyclic(
        lr=ends[0],
        top=ends[1],
        up=up,
        down=up if a["step_size_down"] is None else a["step_size_down"],
        factor=choice("mode", a["mode"], factors),
        each_step=a["mode"] == "exp_range",
    )


def _read_stage(lr: float, scheduler: Any) -> Schedule:
    """A scheduler among several: a schedule as it is, or a call."""
    if isinstance(scheduler, Schedule):
        return scheduler
    if not isinstance(scheduler, Call):
        raise ValueError(
            "each of schedulers must be a Call, such as Call('ExponentialLR', {'gamma': 0.9}), or "
            f"a schedule, got {scheduler!r}"
        )
    return read_schedule(scheduler.name, lr=lr, **scheduler.arguments)


def _read_sequence(lr: float, schedulers: Sequence[Any], milestones: Sequence[int]) -> Schedule:
    """One scheduler after another; a line before one other scheduler is a warm-up."""
    stages = [_read_stage(lr, scheduler) for scheduler in schedulers]
    if len(stages) == 2 and _is_warm_up(stages[0], stages[1], list(milestones)):
        return WarmUp(start=stages[0].rate(1), steps=milestones[0], then=stages[1])
    return Stages(schedules=stages, boundaries=milestones)


def _is_warm_up(line: Schedule, then: Schedule, milestones: list[int]) -> bool:
    """True if the line ends at the milestone, at the first rate of what comes then."""
    straight = isinstance(line, Polynomial) and line.power == 1
    return straight and [line.steps] == milestones and line.end == then.rate(1)  # type: ignore[attr-defined]


def _read_chain(lr: float, schedulers: Sequence[Any]) -> Schedule:
    """Schedulers that all multiply the rate."""
    for scheduler in schedulers:
        if isinstance(scheduler, Call) and scheduler.name not in CHAINED:
            why = "it does not multiply the rate, so in a chain its order and the others matter"
            names = ", ".join(CHAINED)
            what = f"{scheduler.name} in ChainedScheduler"
            raise Inexpressible(what, why, f"a chain of {names}, or ChainedScheduler itself")
    return Product(lr=lr, factors=[_read_stage(1.0, scheduler) for scheduler in schedulers])


def spell_schedule(schedule: Schedule) -> Call:
    """The scheduler that means the schedule; its ``condition`` names the learning rate it needs.

    A warm-up becomes a SequentialLR whose ``schedulers`` are calls. A schedule without a scheduler
    of its own becomes a LambdaLR, whose ``lr_lambda`` is the text of a function; it needs ``math``.
    Inexpressible if that takes more than a line.
    """
    require_schedule(schedule)
    scheduler = _scheduler(schedule)
    condition = f"on an optimizer with lr={scheduler.lr!r}"
    if scheduler.until:
        condition += f", {scheduler.until}"
    return Call(scheduler.name, scheduler.arguments, condition)


def base_rate(schedule: Schedule) -> float:
    """The learning rate of the optimizer whose scheduler means the schedule, or Inexpressible."""
    return _scheduler(schedule).lr


class _Scheduler(NamedTuple):
    """A scheduler, its optimizer's learning rate, and how long it follows the schedule."""

    name: str
    lr: float
    arguments: dict[str, Any]
    until: str = ""


def _scheduler(schedule: Schedule) -> _Scheduler:
    """The scheduler that means the schedule, or Inexpressible."""
    native = _native(schedule)
    if native is not None:
        return native
    text = lambda_text(schedule)
    if text is None:
        what = f"{schedule!r} in torch.optim.lr_scheduler"
        instead = (
            "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: schedule.rate(n + 1) / lr), "
            f"or {OURS}"
        )
        raise Inexpressible(what, "there is no such scheduler, and no line of Python", instead)
    lr, code = text
    return _Scheduler("LambdaLR", lr, {"lr_lambda": code})


def _native(schedule: Schedule) -> _Scheduler | None:
    """The scheduler other than LambdaLR that means the schedule."""
    match schedule:
        case Constant(lr=lr):
            return _Scheduler("ConstantLR", lr, {"factor": 1.0, "total_iters": 0})
        case Exponential(lr=lr, factor=factor, steps=1):
            return _Scheduler("ExponentialLR", lr, {"gamma": factor})
        case Exponential(lr=lr, factor=factor, steps=steps, staircase=True):
            return _Scheduler("StepLR", lr, {"step_size": steps, "gamma": factor})
        case Exponential(lr=lr, factor=factor, steps=steps):
            return _Scheduler("ExponentialLR", lr, {"gamma": factor ** (1 / steps)})
        case Polynomial():
            return _polynomial(schedule)
        case Cosine(lr=lr, end=end, steps=steps):
            until = f"for the first {steps + 1} steps" if schedule.after is After.STAY else ""
            return _Scheduler("CosineAnnealingLR", lr, {"T_max": steps, "eta_min": end}, until)
        case CosineRestarts(lr=lr, end=end, steps=steps, lengthen=lengthen, factor=1.0):
            arguments = {"T_0": steps, "T_mult": lengthen, "eta_min": end}
            return _Scheduler("CosineAnnealingWarmRestarts", lr, arguments)
        case OneCycle():
            return _one_cycle(schedule)
        case Cyclic():
            return _triangle(schedule)
        case Piecewise():
            return _milestones(schedule)
        case WarmUp(beneath=False):
            return _warm_up(schedule)
        case Stages():
            return _sequence(schedule)
        case Product():
            return _chain(schedule)
    return None


def _polynomial(schedule: Polynomial) -> _Scheduler | None:
    lr, end, steps, power = schedule.lr, schedule.end, schedule.steps, schedule.power
    if schedule.cycle:
        return None
    if not end:
        return _Scheduler("PolynomialLR", lr, {"total_iters": steps, "power": power})
    if power != 1 or not lr:  # LinearLR multiplies from step to step, so it cannot start at 0
        return None
    top = max(lr, end)
    factors = {"start_factor": lr / top, "end_factor": end / top}
    return _Scheduler("LinearLR", top, {**factors, "total_iters": steps})


def _one_cycle(schedule: OneCycle) -> _Scheduler | None:
    lr, start, end = schedule.lr, schedule.start, schedule.end
    if not (lr and start and end):  # torch divides by them
        return None
    arguments = {
        "max_lr": lr,
        "total_steps": schedule.steps,
        "pct_start": schedule.rise,
        "anneal_strategy": "cos" if schedule.shape is Shape.COSINE else "linear",
        "cycle_momentum": False,
        "div_factor": lr / start,
        "final_div_factor": start / end,
        "three_phase": schedule.three_phases,
    }
    return _Scheduler("OneCycleLR", start, arguments, f"for the first {schedule.steps} steps")


def _triangle(schedule: Cyclic) -> _Scheduler | None:
    if schedule.factor == 1:
        mode: dict[str, Any] = {"mode": "triangular"}
    elif schedule.each_step:
        mode = {"mode": "exp_range", "gamma": schedule.factor}
    elif schedule.factor == 0.5:
        mode = {"mode": "triangular2"}
    else:
        return None
    arguments = {
        "base_lr": schedule.lr,
        "max_lr": schedule.top,
        "step_size_up": schedule.up,
        "step_size_down": schedule.down,
        **mode,
        "cycle_momentum": False,
    }
    return _Scheduler("CyclicLR", schedule.lr, arguments)


def _milestones(schedule: Piecewise) -> _Scheduler | None:
    late = schedule.switch is Switch.AFTER
    milestones = [int(boundary) + late for boundary in schedule.boundaries]
    first, *others = schedule.rates
    if not others:
        return _Scheduler("ConstantLR", first, {"factor": 1.0, "total_iters": 0})
    gamma = others[0] / first if first else 0.0
    if [rate * gamma for rate in schedule.rates[:-1]] != others:
        return None  # MultiStepLR multiplies by one gamma at every milestone
    return _Scheduler("MultiStepLR", first, {"milestones": milestones, "gamma": gamma})


def _warm_up(schedule: WarmUp) -> _Scheduler | None:
    native = _native(schedule.then)
    if native is None:
        return None
    name, lr, arguments, until = native
    # LinearLR cannot start at 0, nor above the optimizer's lr: it multiplies from step to step
    startable = 0 < schedule.start <= lr and schedule.then.rate(1) == lr
    if not startable or name in (*SETS_THE_RATE, *COMBINED):
        return None
    line = Call("LinearLR", {"start_factor": schedule.start / lr, "total_iters": schedule.steps})
    sequence = {"schedulers": [line, Call(name, arguments)], "milestones": [schedule.steps]}
    until = f"{until} after the warm-up" if until else ""
    return _Scheduler("SequentialLR", lr, sequence, until)


def _sequence(schedule: Stages) -> _Scheduler | None:
    """SequentialLR, if every stage has a scheduler for the same rate of the optimizer."""
    natives = [_native(stage) for stage in schedule.schedules]
    stages = [native for native in natives if native is not None]
    rates = {stage.lr for stage in stages}
    fit = [stage.name not in (*SETS_THE_RATE, *COMBINED) and not stage.until for stage in stages]
    milestones = [int(boundary) for boundary in schedule.boundaries]
    strict = len(set(milestones)) == len(milestones) and 0 not in milestones
    if len(stages) < len(natives) or len(rates) > 1 or not all(fit) or not strict:
        return None
    calls = [Call(stage.name, stage.arguments) for stage in stages]
    return _Scheduler("SequentialLR", stages[0].lr, {"schedulers": calls, "milestones": milestones})


def _chain(schedule: Product) -> _Scheduler | None:
    """ChainedScheduler, if every factor has a scheduler that multiplies the rate."""
    lr, calls = schedule.lr, []
    for factor in schedule.factors:
        native = _native(factor)
        if native is None or native.name not in CHAINED or not native.lr:
            return None
        lr *= native.lr
        calls.append(Call(native.name, native.arguments))
    return _Scheduler("ChainedScheduler", lr, {"schedulers": calls})
