"""PyTorch's words for what stands around a rule: torch 2.13. Read off torch/optim/lr_scheduler.py,
torch/optim/swa_utils.py and torch/nn/utils/clip_grad.py.

A scheduler scales the optimizer's own ``lr`` and counts the calls of ``scheduler.step()``; a milestone m takes effect
after m of them. ``clip_grad_norm_`` adds 1e-6 to the norm. There is no word for accumulation.
"""

from typing import Any

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
    """The schedule of ``torch.optim.lr_scheduler.<name>(optimizer, **arguments)`` on an optimizer with that ``lr``.

    Exact arithmetic: torch multiplies from step to step. Raises ValueError for an unknown name or argument, for one
    that is missing and for a value out of range. A warm-up is ``SequentialLR([LinearLR, another], [total_iters])`` in
    torch; here ``WarmUp(start=..., steps=..., then=read_schedule(...))``.
    """
    a = complete("torch.optim.lr_scheduler", SCHEDULERS, name, arguments)
    match name:
        case "ConstantLR":
            if not a["total_iters"]:  # never undone: from 1 on torch asks whether the count equals total_iters
                return Constant(lr=lr * a["factor"])
            return Piecewise(boundaries=[a["total_iters"]], rates=[lr * a["factor"], lr])
        case "LinearLR":
            return Polynomial(lr=lr * a["start_factor"], end=lr * a["end_factor"], steps=a["total_iters"])
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
    """The scheduler that means the schedule (exact arithmetic); its ``condition`` says the lr that it needs.

    A warm-up becomes a SequentialLR whose ``schedulers`` are calls. Inexpressible if torch has no word.
    """
    name, lr, arguments, until = _spelled(schedule)
    conditions = [f"on an optimizer with lr={lr!r}", *([until] if until else [])]
    return Call(name, arguments, ", ".join(conditions))


def _spelled(schedule: Schedule) -> tuple[str, float, dict[str, Any], str]:
    """Name, the optimizer's lr, arguments, and how long it holds."""
    what = f"{schedule!r} in torch.optim.lr_scheduler"
    match schedule:
        case Constant(lr=lr):
            return "ConstantLR", lr, {"factor": 1.0, "total_iters": 0}, ""
        case Exponential(lr=lr, factor=factor, steps=1):
            return "ExponentialLR", lr, {"gamma": factor}, ""
        case Exponential(lr=lr, factor=factor, steps=steps, staircase=True):
            return "StepLR", lr, {"step_size": steps, "gamma": factor}, ""
        case Exponential(lr=lr, factor=factor, steps=steps):
            return "ExponentialLR", lr, {"gamma": factor ** (1 / steps)}, ""
        case Polynomial(lr=lr, end=0.0, steps=steps, power=power):
            return "PolynomialLR", lr, {"total_iters": steps, "power": power}, ""
        case Polynomial(lr=lr, end=end, steps=steps, power=1.0) if max(lr, end):
            top = max(lr, end)
            factors = {"start_factor": lr / top, "end_factor": end / top}
            if not lr:
                raise Inexpressible(what, "LinearLR cannot start at 0: it multiplies from step to step", OURS)
            return "LinearLR", top, {**factors, "total_iters": steps}, ""
        case Polynomial():
            raise Inexpressible(what, "PolynomialLR ends at 0, and LinearLR has no power", OURS)
        case Cosine(lr=lr, end=end, steps=steps):
            until = f"for the first {steps + 1} steps" if schedule.after is After.STAY else ""
            return "CosineAnnealingLR", lr, {"T_max": steps, "eta_min": end}, until
        case Piecewise():
            return _milestones(schedule, what)
        case WarmUp():
            return _sequence(schedule, what)
    raise Inexpressible(what, "there is no such scheduler", OURS)


def _milestones(schedule: Piecewise, what: str) -> tuple[str, float, dict[str, Any], str]:
    late = schedule.switch is Switch.AFTER
    milestones = [int(boundary) + late for boundary in schedule.boundaries]
    first, *others = schedule.rates
    if not others:
        return "ConstantLR", first, {"factor": 1.0, "total_iters": 0}, ""
    gamma = others[0] / first if first else 0.0
    if any(b != a * gamma for a, b in zip(schedule.rates[:-1], others, strict=True)):
        why = "MultiStepLR multiplies by one gamma at every milestone, these rates have several ratios"
        instead = f"torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: schedule.rate(n + 1) / lr), or {OURS}"
        raise Inexpressible(what, why, instead)
    return "MultiStepLR", first, {"milestones": milestones, "gamma": gamma}, ""


def _sequence(schedule: WarmUp, what: str) -> tuple[str, float, dict[str, Any], str]:
    name, lr, arguments, until = _spelled(schedule.then)
    if not 0 < schedule.start <= lr or schedule.then.rate(1) != lr:
        why = "LinearLR cannot start at 0, nor above the optimizer's lr: it multiplies from step to step"
        raise Inexpressible(what, why, f"a start above 0 and up to {lr!r}, or {OURS}")
    line = Call("LinearLR", {"start_factor": schedule.start / lr, "total_iters": schedule.steps})
    sequence = {"schedulers": [line, Call(name, arguments)], "milestones": [schedule.steps]}
    return "SequentialLR", lr, sequence, f"{until} after the warm-up" if until else ""


def read_clipping(name: str, /, **arguments: Any) -> Clipping:
    """The clipping of ``torch.nn.utils.<name>(parameters, **arguments)``: ``clip_grad_norm_`` or ``clip_grad_value_``.

    ValueError for an unknown name or argument; Inexpressible for a ``norm_type`` other than 2.
    """
    known: Signatures = {
        "clip_grad_norm_": {"max_norm": REQUIRED, "norm_type": 2.0, "error_if_nonfinite": False, "foreach": None},
        "clip_grad_value_": {"clip_value": REQUIRED, "foreach": None},
    }
    a = complete("torch.nn.utils", known, name, arguments)
    if name == "clip_grad_value_":
        return ClipValue(limit=a["clip_value"])
    if a["norm_type"] != 2:
        what = f"clip_grad_norm_(norm_type={a['norm_type']!r})"
        raise Inexpressible(what, "the norm here is Euclid's", "norm_type=2.0, or torch's own function before the step")
    return ClipGlobalNorm(limit=a["max_norm"], added=ADDED)


def spell_clipping(clipping: Clipping) -> Call:
    """The call in torch.nn.utils that means the clipping (exact arithmetic); Inexpressible if there is none."""
    if isinstance(clipping, ClipValue):
        return Call("clip_grad_value_", {"clip_value": clipping.limit})
    ours = f"samestep.frameworks.pytorch.parts.clip_(parameters, {clipping!r})"
    if not isinstance(clipping, ClipGlobalNorm):
        why = "clip_grad_norm_ takes the norm of all its tensors together"
        raise Inexpressible(f"{clipping!r} in torch.nn.utils", why, f"one call for each parameter, or {ours}")
    if clipping != ClipGlobalNorm(limit=clipping.limit, added=ADDED):
        why = f"clip_grad_norm_ adds {ADDED} to the norm, and makes zeros of finite elements beside infinite ones"
        size = "a clipped gradient is shorter by the share 1e-6 / (norm + 1e-6)"
        raise Inexpressible(f"{clipping!r} in torch.nn.utils", why, ours, size)
    return Call("clip_grad_norm_", {"max_norm": clipping.limit})


def read_average(name: str = "", /, **arguments: Any) -> Average:
    """The average of ``torch.optim.swa_utils.AveragedModel`` with ``avg_fn=<name>(**arguments)``.

    Without a name, torch's default: equal weights. Names: get_ema_avg_fn, get_swa_avg_fn and their multi_avg_fn forms.
    """
    ema, equal = ("get_ema_avg_fn", "get_ema_multi_avg_fn"), ("", "get_swa_avg_fn", "get_swa_multi_avg_fn")
    known = {key: {"decay": 0.999} if key in ema else {} for key in (*ema, *equal)}
    a = complete("torch.optim.swa_utils", known, name, arguments)
    return MovingAverage(keep=a["decay"]) if name in ema else EqualAverage()


def spell_average(average: Average) -> Call:
    """The function in torch.optim.swa_utils whose result, given as ``avg_fn``, means the average.

    Given as ``multi_avg_fn``, ``get_swa_multi_avg_fn`` takes its shares through float32, also in float64.
    """
    if isinstance(average, MovingAverage):
        return Call("get_ema_avg_fn", {"decay": average.keep})
    return Call("get_swa_avg_fn", {})


def spell_accumulation(accumulation: Accumulation) -> Call:
    """Always Inexpressible: torch leaves it to the loop. The remedy is what to write there."""
    share = f"(loss / {accumulation.steps})" if accumulation.total is Total.MEAN else "loss"
    instead = (
        f"{share}.backward() for each batch, optimizer.step() and optimizer.zero_grad() after each "
        f"{accumulation.steps}th, or samestep.frameworks.pytorch.parts.Accumulator(accumulation)"
    )
    raise Inexpressible(f"{accumulation!r} in PyTorch", "it has no word for accumulation", instead)
