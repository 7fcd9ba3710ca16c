"""How PyTorch writes the parts around a rule: torch 2.13.

Read off torch/optim/lr_scheduler.py, torch/optim/swa_utils.py and torch/nn/utils/clip_grad.py.
``read_...`` and ``spell_...`` mean exact arithmetic, and raise Inexpressible for what the other
side does not have.

A scheduler scales the optimizer's own ``lr`` and counts the calls of ``scheduler.step()``; a
milestone m takes effect after m of them. ``clip_grad_norm_`` adds 1e-6 to the norm. PyTorch
leaves accumulation to the training loop.
"""

from typing import Any, NamedTuple

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import (
    Accumulation,
    After,
    Average,
    ClipGlobalNorm,
    Clipping,
    ClipValue,
    Constant,
    Cosine,
    EqualAverage,
    Exponential,
    MovingAverage,
    Piecewise,
    Polynomial,
    Schedule,
    Switch,
    Total,
    WarmUp,
)
from samestep.reference.parts.kinds import (
    require_accumulation,
    require_average,
    require_clipping,
    require_schedule,
)
from samestep.reference.scalars import integer_power

from .signatures import REQUIRED, Signatures, complete

ADDED = 1e-6  # what clip_grad_norm_ adds to the norm
OURS = "samestep.frameworks.pytorch.parts.Scheduler(optimizer, schedule)"

SCHEDULERS: Signatures = {
    "ConstantLR": {"factor": 1 / 3, "total_iters": 5},
    "LinearLR": {"start_factor": 1 / 3, "end_factor": 1.0, "total_iters": 5},
    "StepLR": {"step_size": REQUIRED, "gamma": 0.1},
    "MultiStepLR": {"milestones": REQUIRED, "gamma": 0.1},
    "ExponentialLR": {"gamma": REQUIRED},
    "PolynomialLR": {"total_iters": 5, "power": 1.0},
    "CosineAnnealingLR": {"T_max": REQUIRED, "eta_min": 0.0},
}


def read_schedule(name: str, /, lr: float, **arguments: Any) -> Schedule:
    """The schedule of ``torch.optim.lr_scheduler.<name>(optimizer, **arguments)``.

    ``lr`` is the optimizer's learning rate.

    Exact arithmetic: torch multiplies from step to step. Raises ValueError for an unknown name or
    argument, for one that is missing and for a value out of range. A warm-up is
    ``SequentialLR([LinearLR, another], [total_iters])`` in torch; here ``WarmUp(start=...,
    steps=..., then=read_schedule(...))``.
    """
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
    return Cosine(lr=lr, end=a["eta_min"], steps=a["T_max"], after=After.RETURN)


def spell_schedule(schedule: Schedule) -> Call:
    """The scheduler that means the schedule; its ``condition`` names the learning rate it needs.

    A warm-up becomes a SequentialLR whose ``schedulers`` are calls. Inexpressible if torch has no
    scheduler for it.
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
    what = f"{schedule!r} in torch.optim.lr_scheduler"
    match schedule:
        case Constant(lr=lr):
            return _Scheduler("ConstantLR", lr, {"factor": 1.0, "total_iters": 0})
        case Exponential(lr=lr, factor=factor, steps=1):
            return _Scheduler("ExponentialLR", lr, {"gamma": factor})
        case Exponential(lr=lr, factor=factor, steps=steps, staircase=True):
            return _Scheduler("StepLR", lr, {"step_size": steps, "gamma": factor})
        case Exponential(lr=lr, factor=factor, steps=steps):
            return _Scheduler("ExponentialLR", lr, {"gamma": factor ** (1 / steps)})
        case Polynomial(lr=lr, end=0.0, steps=steps, power=power):
            return _Scheduler("PolynomialLR", lr, {"total_iters": steps, "power": power})
        case Polynomial(lr=lr, end=end, steps=steps, power=1.0) if max(lr, end):
            top = max(lr, end)
            factors = {"start_factor": lr / top, "end_factor": end / top}
            if not lr:
                raise Inexpressible(
                    what, "LinearLR cannot start at 0: it multiplies from step to step", OURS
                )
            return _Scheduler("LinearLR", top, {**factors, "total_iters": steps})
        case Polynomial():
            raise Inexpressible(what, "PolynomialLR ends at 0, and LinearLR has no power", OURS)
        case Cosine(lr=lr, end=end, steps=steps):
            until = f"for the first {steps + 1} steps" if schedule.after is After.STAY else ""
            return _Scheduler("CosineAnnealingLR", lr, {"T_max": steps, "eta_min": end}, until)
        case Piecewise():
            return _milestones(schedule, what)
        case WarmUp():
            return _sequence(schedule, what)
    raise Inexpressible(what, "there is no such scheduler", OURS)


def _milestones(schedule: Piecewise, what: str) -> _Scheduler:
    late = schedule.switch is Switch.AFTER
    milestones = [int(boundary) + late for boundary in schedule.boundaries]
    first, *others = schedule.rates
    if not others:
        return _Scheduler("ConstantLR", first, {"factor": 1.0, "total_iters": 0})
    gamma = others[0] / first if first else 0.0
    if [rate * gamma for rate in schedule.rates[:-1]] != others:
        why = (
            "MultiStepLR multiplies by one gamma at every milestone, these rates have several "
            "ratios"
        )
        instead = (
            "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: schedule.rate(n + 1) / lr), "
            f"or {OURS}"
        )
        raise Inexpressible(what, why, instead)
    return _Scheduler("MultiStepLR", first, {"milestones": milestones, "gamma": gamma})


def _sequence(schedule: WarmUp, what: str) -> _Scheduler:
    name, lr, arguments, until = _scheduler(schedule.then)
    if not 0 < schedule.start <= lr or schedule.then.rate(1) != lr:
        why = (
            "LinearLR cannot start at 0, nor above the optimizer's lr: it multiplies from step to "
            "step"
        )
        raise Inexpressible(what, why, f"a start above 0 and up to {lr!r}, or {OURS}")
    line = Call("LinearLR", {"start_factor": schedule.start / lr, "total_iters": schedule.steps})
    sequence = {"schedulers": [line, Call(name, arguments)], "milestones": [schedule.steps]}
    until = f"{until} after the warm-up" if until else ""
    return _Scheduler("SequentialLR", lr, sequence, until)


def read_clipping(name: str, /, **arguments: Any) -> Clipping:
    """The clipping of ``torch.nn.utils.<name>(parameters, **arguments)``.

    The names are ``clip_grad_norm_`` and ``clip_grad_value_``. ValueError for an unknown name or
    argument; Inexpressible for a ``norm_type`` other than 2.
    """
    known: Signatures = {
        "clip_grad_norm_": {
            "max_norm": REQUIRED,
            "norm_type": 2.0,
            "error_if_nonfinite": False,
            "foreach": None,
        },
        "clip_grad_value_": {"clip_value": REQUIRED, "foreach": None},
    }
    a = complete("torch.nn.utils", known, name, arguments)
    if name == "clip_grad_value_":
        return ClipValue(limit=a["clip_value"])
    if a["norm_type"] != 2:
        what = f"clip_grad_norm_(norm_type={a['norm_type']!r})"
        raise Inexpressible(
            what,
            "the norm here is Euclid's",
            "norm_type=2.0, or torch's own function before the step",
        )
    return ClipGlobalNorm(limit=a["max_norm"], added=ADDED)


def spell_clipping(clipping: Clipping) -> Call:
    """The call in torch.nn.utils that means the clipping, or Inexpressible."""
    require_clipping(clipping)
    if isinstance(clipping, ClipValue):
        return Call("clip_grad_value_", {"clip_value": clipping.limit})
    ours = f"samestep.frameworks.pytorch.parts.clip_(parameters, {clipping!r})"
    if not isinstance(clipping, ClipGlobalNorm):
        why = "clip_grad_norm_ takes the norm of all its tensors together"
        raise Inexpressible(
            f"{clipping!r} in torch.nn.utils", why, f"one call for each parameter, or {ours}"
        )
    if clipping != ClipGlobalNorm(limit=clipping.limit, added=ADDED):
        why = (
            f"clip_grad_norm_ adds {ADDED} to the norm, and makes zeros of finite elements beside "
            "infinite ones"
        )
        size = "a clipped gradient is shorter by the share 1e-6 / (norm + 1e-6)"
        raise Inexpressible(f"{clipping!r} in torch.nn.utils", why, ours, size)
    return Call("clip_grad_norm_", {"max_norm": clipping.limit})


def read_average(name: str = "", /, **arguments: Any) -> Average:
    """The average of ``torch.optim.swa_utils.AveragedModel`` with ``avg_fn=<name>(**arguments)``.

    Without a name, torch's default: equal weights. Names: get_ema_avg_fn, get_swa_avg_fn and their
    multi_avg_fn forms.
    """
    ema, equal = (
        ("get_ema_avg_fn", "get_ema_multi_avg_fn"),
        ("", "get_swa_avg_fn", "get_swa_multi_avg_fn"),
    )
    known = {key: {"decay": 0.999} if key in ema else {} for key in (*ema, *equal)}
    a = complete("torch.optim.swa_utils", known, name, arguments)
    return MovingAverage(keep=a["decay"]) if name in ema else EqualAverage()


def spell_average(average: Average) -> Call:
    """The function in torch.optim.swa_utils whose result, given as ``avg_fn``, means the average.

    Given as ``multi_avg_fn``, ``get_swa_multi_avg_fn`` takes its shares through float32, also in
    float64.
    """
    require_average(average)
    if isinstance(average, MovingAverage):
        return Call("get_ema_avg_fn", {"decay": average.keep})
    return Call("get_swa_avg_fn", {})


def spell_accumulation(accumulation: Accumulation) -> Call:
    """Always Inexpressible: torch leaves it to the loop. The remedy is what to write there."""
    require_accumulation(accumulation)
    share = f"(loss / {accumulation.steps})" if accumulation.total is Total.MEAN else "loss"
    instead = (
        f"{share}.backward() for each batch, optimizer.step() and optimizer.zero_grad() after each "
        f"{accumulation.steps}th, or samestep.frameworks.pytorch.parts.Accumulator(accumulation)"
    )
    raise Inexpressible(
        f"{accumulation!r} in PyTorch", "it leaves accumulation to the training loop", instead
    )
