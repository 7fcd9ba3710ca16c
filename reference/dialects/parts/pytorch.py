"""How PyTorch writes the parts around a rule: torch 2.13.

Read off torch/optim/lr_scheduler.py, torch/optim/swa_utils.py and torch/nn/utils/clip_grad.py.
``read_...`` and ``spell_...`` mean exact arithmetic, and raise Inexpressible for what the other
side does not have. Those of schedules stand in ``pytorch_schedules``.

``clip_grad_norm_`` adds 1e-6 to the norm. PyTorch leaves accumulation to the training loop.
"""

from typing import Any

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import (
    Accumulation,
    Average,
    ClipGlobalNorm,
    Clipping,
    ClipValue,
    EqualAverage,
    LossScale,
    Mode,
    MovingAverage,
    Plateau,
    Skip,
    Start,
    ThresholdMode,
    Total,
)
from samestep.reference.parts.kinds import (
    require_accumulation,
    require_average,
    require_clipping,
)

from .pytorch_schedules import (
    SCHEDULERS,
    base_rate,
    read_momentum,
    read_schedule,
    spell_schedule,
)
from .signatures import REQUIRED, Signatures, choice, complete

__all__ = [
    "SCHEDULERS",
    "base_rate",
    "read_average",
    "read_clipping",
    "read_loss_scale",
    "read_momentum",
    "read_plateau",
    "read_schedule",
    "spell_accumulation",
    "spell_average",
    "spell_clipping",
    "spell_loss_scale",
    "spell_plateau",
    "spell_schedule",
]

ADDED = 1e-6  # what clip_grad_norm_ adds to the norm

PLATEAUS: Signatures = {
    "ReduceLROnPlateau": {
        "mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel",
        "cooldown": 0, "min_lr": 0.0, "eps": 1e-8, "verbose": False,
    },
}  # fmt: skip

SCALERS: Signatures = {
    "GradScaler": {
        "device": "cuda", "init_scale": 2.0**16, "growth_factor": 2.0, "backoff_factor": 0.5,
        "growth_interval": 2000, "enabled": True,
    },
}  # fmt: skip


def read_plateau(name: str = "ReduceLROnPlateau", /, **arguments: Any) -> Plateau:
    """The plateau of ``torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)``.

    ``verbose``, of older releases, changes nothing. ValueError for an unknown argument or a value
    out of range; Inexpressible for a ``min_lr`` that differs from group to group.
    """
    a = complete("torch.optim.lr_scheduler", PLATEAUS, name, arguments)
    least = a["min_lr"]
    if isinstance(least, list | tuple):
        if len(set(least)) != 1:
            why = "a plateau has one least rate"
            instead = (
                "samestep.frameworks.pytorch.parts.PlateauScheduler for each group, or torch's"
            )
            raise Inexpressible(f"ReduceLROnPlateau(min_lr={least!r})", why, instead)
        least = least[0]
    return Plateau(
        mode=choice("mode", a["mode"], {"min": Mode.MIN, "max": Mode.MAX}),
        factor=a["factor"],
        patience=a["patience"],
        threshold=a["threshold"],
        threshold_mode=choice(
            "threshold_mode",
            a["threshold_mode"],
            {"rel": ThresholdMode.REL, "abs": ThresholdMode.ABS},
        ),
        cooldown=a["cooldown"],
        min_lr=least,
        least_change=a["eps"],
    )


def spell_plateau(plateau: Plateau) -> Call:
    """The scheduler in torch.optim.lr_scheduler that means the plateau."""
    arguments = {
        "mode": plateau.mode.name.lower(),
        "factor": plateau.factor,
        "patience": plateau.patience,
        "threshold": plateau.threshold,
        "threshold_mode": plateau.threshold_mode.name.lower(),
        "cooldown": plateau.cooldown,
        "min_lr": plateau.min_lr,
        "eps": plateau.least_change,
    }
    defaults = PLATEAUS["ReduceLROnPlateau"]
    changed = {name: value for name, value in arguments.items() if value != defaults[name]}
    return Call("ReduceLROnPlateau", changed)


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

    Inexpressible for an average that does not begin with a copy, or whose pace changes. Given as
    ``multi_avg_fn``, ``get_swa_multi_avg_fn`` takes its shares through float32, also in
    float64.
    """
    require_average(average)
    if not isinstance(average, MovingAverage):
        return Call("get_swa_avg_fn", {})
    ours = "samestep.frameworks.pytorch.parts.Averages(parameters, average)"
    what = f"{average!r} in torch.optim.swa_utils"
    if average.by_updates:
        raise Inexpressible(what, "get_ema_avg_fn has one decay for all updates", ours)
    if average.start is Start.CORRECTED:
        instead = f"avg_fn=samestep.frameworks.pytorch.parts.averaging({average!r}), or {ours}"
        raise Inexpressible(what, "get_ema_avg_fn has one decay for all updates", instead)
    if average.start is not Start.COPY:
        raise Inexpressible(what, "AveragedModel copies the model at the first update", ours)
    return Call("get_ema_avg_fn", {"decay": average.keep})


def read_loss_scale(name: str = "GradScaler", /, **arguments: Any) -> LossScale:
    """The loss scale of ``torch.amp.GradScaler(**arguments)``.

    A scheduler goes on while steps are skipped, since ``scheduler.step()`` is called in each turn
    of the loop. Unscale before you clip: ``scaler.unscale_(optimizer)``. ``enabled=False`` is a
    scale of 1 that stays. ValueError for an unknown argument or a value out of range.
    """
    a = complete("torch.amp", SCALERS, name, arguments)
    if not a["enabled"]:
        return LossScale(scale=1.0, dynamic=False, schedule=Skip.COUNT)
    return LossScale(
        scale=a["init_scale"],
        growth=a["growth_factor"],
        backoff=a["backoff_factor"],
        steps=a["growth_interval"],
        schedule=Skip.COUNT,
    )


def spell_loss_scale(loss_scale: LossScale) -> Call:
    """The call in torch.amp that means the loss scale, or Inexpressible.

    A schedule that waits while steps are skipped is a condition on the training loop.
    """
    ours = "samestep.frameworks.pytorch.parts.LossScaler(loss_scale)"
    what = f"{loss_scale!r} in torch.amp"
    if not loss_scale.dynamic:
        if loss_scale.scale == 1:
            return Call("GradScaler", {"enabled": False})
        instead = (
            f"(loss * {loss_scale.scale!r}).backward() and each gradient divided by it, or {ours}"
        )
        raise Inexpressible(what, "GradScaler changes its scale and skips steps", instead)
    if loss_scale.growth == 1 or loss_scale.backoff == 1:
        why = "GradScaler must have a growth_factor above 1 and a backoff_factor below 1"
        raise Inexpressible(what, why, ours)
    arguments = {
        "init_scale": loss_scale.scale,
        "growth_factor": loss_scale.growth,
        "backoff_factor": loss_scale.backoff,
        "growth_interval": loss_scale.steps,
    }
    defaults = SCALERS["GradScaler"]
    changed = {name: value for name, value in arguments.items() if value != defaults[name]}
    if loss_scale.schedule is Skip.COUNT:
        return Call("GradScaler", changed)
    condition = "with scheduler.step() only where scaler.update() has not lowered get_scale()"
    return Call("GradScaler", changed, condition)


def spell_accumulation(accumulation: Accumulation) -> Call:
    """Always Inexpressible: torch leaves it to the loop. The remedy is what to write there."""
    require_accumulation(accumulation)
    share = f"(loss / {accumulation.steps})" if accumulation.total is Total.MEAN else "loss"
    instead = (
        f"{share}.backward() for each batch, optimizer.step() and optimizer.zero_grad() after each "
        f"{accumulation.steps}th and after the last, or "
        "samestep.frameworks.pytorch.parts.Accumulator(accumulation) with finish()"
    )
    raise Inexpressible(
        f"{accumulation!r} in PyTorch", "it leaves accumulation to the training loop", instead
    )
