"""How Keras writes the parts around a rule: keras 3.15.

Read off keras/src/optimizers/base_optimizer.py and
keras/src/optimizers/schedules/learning_rate_schedule.py. ``read_...`` and ``spell_...`` mean exact
arithmetic, and raise Inexpressible for what the other side does not have.

A schedule is called with the number of steps already taken, under accumulation with the number of
batches. PiecewiseConstantDecay changes one step later than torch's MultiStepLR; CosineDecay stays
at its end and counts ``decay_steps`` from the end of the warm-up. Nothing is added
to a norm that is clipped. Rates are float32.
"""

from typing import Any

from samestep.reference.dialects.call import Call, Inexpressible
from samestep.reference.parts import (
    Accumulation,
    After,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    ClipValue,
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Infinite,
    InverseTime,
    LossScale,
    Mode,
    MovingAverage,
    Piecewise,
    Plateau,
    Polynomial,
    Schedule,
    Skip,
    Start,
    Switch,
    ThresholdMode,
    Total,
    WarmUp,
)
from samestep.reference.parts.kinds import (
    require_accumulation,
    require_average,
    require_clipping,
    require_schedule,
)

from .signatures import REQUIRED, Signatures, complete

OURS = "samestep.frameworks.tensorflow.parts.Schedule(schedule)"

SCHEDULES: Signatures = {
    "PiecewiseConstantDecay": {"boundaries": REQUIRED, "values": REQUIRED},
    "ExponentialDecay": {
        "initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "decay_rate": REQUIRED,
        "staircase": False,
    },
    "PolynomialDecay": {
        "initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "end_learning_rate": 1e-4,
        "power": 1.0,
        "cycle": False,
    },
    "InverseTimeDecay": {
        "initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "decay_rate": REQUIRED,
        "staircase": False,
    },
    "CosineDecayRestarts": {
        "initial_learning_rate": REQUIRED, "first_decay_steps": REQUIRED, "t_mul": 2.0,
        "m_mul": 1.0,
        "alpha": 0.0,
    },
    "CosineDecay": {
        "initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "alpha": 0.0,
        "warmup_target": None,
        "warmup_steps": 0,
    },
}  # fmt: skip

PLATEAUS: Signatures = {
    "ReduceLROnPlateau": {
        "monitor": "val_loss", "factor": 0.1, "patience": 10, "verbose": 0, "mode": "auto",
        "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0,
    },
}  # fmt: skip

LOSS_SCALES: Signatures = {
    "LossScaleOptimizer": {
        "inner_optimizer": None, "initial_scale": 2.0**15, "dynamic_growth_steps": 2000,
        "name": None,
    },
}  # fmt: skip


def read_schedule(name: str, /, **arguments: Any) -> Schedule:
    """The schedule that ``keras.optimizers.schedules.<name>(**arguments)`` follows.

    Raises ValueError for an unknown name or argument, for one that is missing and for a value out
    of range; Inexpressible for cycles of a fraction of a step.
    """
    arguments.pop("name", None)
    a = complete("keras.optimizers.schedules", SCHEDULES, name, arguments)
    match name:
        case "PiecewiseConstantDecay":
            return Piecewise(boundaries=a["boundaries"], rates=a["values"], switch=Switch.AFTER)
        case "ExponentialDecay":
            lr, steps, factor = a["initial_learning_rate"], a["decay_steps"], a["decay_rate"]
            return Exponential(lr=lr, factor=factor, steps=_whole(steps), staircase=a["staircase"])
        case "InverseTimeDecay":
            lr, steps, factor = a["initial_learning_rate"], a["decay_steps"], a["decay_rate"]
            return InverseTime(lr=lr, factor=factor, steps=_whole(steps), staircase=a["staircase"])
        case "PolynomialDecay":
            return Polynomial(
                lr=a["initial_learning_rate"],
                end=a["end_learning_rate"],
                steps=_whole(a["decay_steps"]),
                power=a["power"],
                cycle=a["cycle"],
            )
        case "CosineDecayRestarts":
            return _read_restarts(a)
    start, target = a["initial_learning_rate"], a["warmup_target"]
    lr = start if target is None else target
    cosine = Cosine(lr=lr, end=a["alpha"] * lr, steps=_whole(a["decay_steps"]))
    if target is None or a["warmup_steps"] == 0:  # without a target Keras ignores warmup_steps
        return cosine
    return WarmUp(start=start, steps=_whole(a["warmup_steps"]), then=cosine)


def _read_restarts(a: dict[str, Any]) -> CosineRestarts:
    lengthen = _whole(a["t_mul"])
    if isinstance(lengthen, float):
        what = f"CosineDecayRestarts(t_mul={lengthen!r})"
        why = "its cycles end within a step, here each has a whole number of steps"
        instead = "a whole t_mul, or the schedule itself as the adapter's learning_rate"
        raise Inexpressible(what, why, instead)
    lr = a["initial_learning_rate"]
    return CosineRestarts(
        lr=lr,
        end=a["alpha"] * lr,
        steps=_whole(a["first_decay_steps"]),
        lengthen=lengthen,
        factor=a["m_mul"],
    )


def _whole(count: Any) -> Any:
    """A count that Keras takes as a float, as a whole number if it is one."""
    return int(count) if isinstance(count, float) and count.is_integer() else count


def spell_schedule(schedule: Schedule) -> Call:
    """The call in keras.optimizers.schedules that means the schedule, or Inexpressible."""
    require_schedule(schedule)
    what = f"{schedule!r} in keras.optimizers.schedules"
    match schedule:
        case Constant(lr=lr):
            return Call("PiecewiseConstantDecay", {"boundaries": [0], "values": [lr, lr]})
        case Piecewise(rates=rates, switch=switch):
            early = switch is Switch.AT
            boundaries = [int(boundary) - early for boundary in schedule.boundaries]
            if len(set(boundaries)) < len(boundaries) or not boundaries:
                raise Inexpressible(
                    what, "PiecewiseConstantDecay needs boundaries, each above the last", OURS
                )
            return Call("PiecewiseConstantDecay", {"boundaries": boundaries, "values": list(rates)})
        case Exponential(lr=lr, factor=factor, steps=steps, staircase=staircase):
            common = {"initial_learning_rate": lr, "decay_steps": steps, "decay_rate": factor}
            return Call(
                "ExponentialDecay",
                {**common, "staircase": True} if staircase and steps > 1 else common,
            )
        case Polynomial(lr=lr, end=end, steps=steps, power=power):
            common = {"initial_learning_rate": lr, "decay_steps": steps, "end_learning_rate": end}
            power_argument = {"power": power} if power != 1 else {}
            cycle = {"cycle": True} if schedule.cycle else {}
            return Call("PolynomialDecay", {**common, **power_argument, **cycle})
        case InverseTime(lr=lr, factor=factor, steps=steps, staircase=staircase):
            common = {"initial_learning_rate": lr, "decay_steps": steps, "decay_rate": factor}
            return Call("InverseTimeDecay", {**common, "staircase": True} if staircase else common)
        case CosineRestarts():
            return _spell_restarts(schedule)
        case WarmUp(then=Cosine() as then, beneath=False):
            warm = {"warmup_target": then.lr, "warmup_steps": schedule.steps}
            return Call(
                "CosineDecay", {"initial_learning_rate": schedule.start, **_cosine(then), **warm}
            )
        case Cosine():
            return Call("CosineDecay", {"initial_learning_rate": schedule.lr, **_cosine(schedule)})
    if isinstance(schedule, WarmUp) and schedule.beneath:
        why = "the decay of CosineDecay begins after its warm-up, and nothing else has one"
        raise Inexpressible(what, why, OURS)
    if isinstance(schedule, WarmUp):
        raise Inexpressible(what, "only CosineDecay has a warm-up", OURS)
    raise Inexpressible(what, "there is no such schedule", OURS)


def _spell_restarts(schedule: CosineRestarts) -> Call:
    cycles = {"t_mul": float(schedule.lengthen), "m_mul": schedule.factor}
    start = {"initial_learning_rate": schedule.lr, "first_decay_steps": schedule.steps}
    return Call("CosineDecayRestarts", {**start, **cycles, **_alpha(schedule)})


def _alpha(schedule: Cosine | CosineRestarts) -> dict[str, float]:
    """The argument for the end of a cosine, which Keras takes as a share of its beginning."""
    if not schedule.end:
        return {}
    if not schedule.lr:
        what = f"{schedule!r} in keras.optimizers.schedules"
        why = "the end of CosineDecay is a share of its beginning, here 0"
        raise Inexpressible(what, why, OURS)
    return {"alpha": schedule.end / schedule.lr}


def _cosine(schedule: Cosine) -> dict[str, Any]:
    what = f"{schedule!r} in keras.optimizers.schedules"
    if schedule.after is After.RETURN:
        raise Inexpressible(what, "CosineDecay stays at its end, this one rises again", OURS)
    return {"decay_steps": schedule.steps, **_alpha(schedule)}


def read_plateau(name: str = "ReduceLROnPlateau", /, **arguments: Any) -> Plateau:
    """The plateau of ``keras.callbacks.ReduceLROnPlateau(**arguments)``.

    Keras lowers the rate at bad epoch number ``patience``, so the part tolerates one epoch less; 0
    means the same as 1. Its cooldown ends one epoch earlier than it says, and ``min_delta`` is
    absolute. Not modelled: Keras compares in float32, takes a first value of NaN for the best, and
    begins to count anew in each ``fit``. ``monitor`` and ``verbose`` do not matter, except that
    ``mode="auto"`` needs a loss: Inexpressible for another value. ValueError for an unknown
    argument or a value out of range.
    """
    a = complete("keras.callbacks", PLATEAUS, name, arguments)
    return Plateau(
        mode=_direction(a["mode"], a["monitor"]),
        factor=a["factor"],
        patience=max(a["patience"] - 1, 0),
        threshold=abs(a["min_delta"]),
        threshold_mode=ThresholdMode.ABS,
        cooldown=max(a["cooldown"] - 1, 0),
        min_lr=a["min_lr"],
    )


def _direction(mode: str, monitor: str) -> Mode:
    """The mode that Keras chooses."""
    if mode in ("min", "max"):
        return Mode.MIN if mode == "min" else Mode.MAX
    if mode != "auto":
        raise ValueError(f"mode must be 'auto', 'min' or 'max', got {mode!r}")
    if monitor.removeprefix("val_") == "loss":
        return Mode.MIN
    what = f"ReduceLROnPlateau(monitor={monitor!r})"
    why = "in mode 'auto' Keras asks the model's metric whether it should rise or fall"
    raise Inexpressible(what, why, "mode='max' or mode='min'")


def spell_plateau(plateau: Plateau) -> Call:
    """The callback in keras.callbacks that means the plateau, or Inexpressible.

    Its ``monitor``, by default "val_loss", is the caller's.
    """
    if plateau.threshold_mode is ThresholdMode.REL and plateau.threshold:
        why = "min_delta is absolute, and this threshold is a share of the best value"
        instead = (
            "threshold_mode='ABS' and a threshold in the units of the value, or "
            f"samestep.frameworks.tensorflow.parts.PlateauCallback({plateau!r})"
        )
        raise Inexpressible(f"{plateau!r} in keras.callbacks", why, instead)
    arguments = {
        "factor": plateau.factor,
        "patience": plateau.patience + 1,
        "mode": plateau.mode.name.lower(),
        "min_delta": plateau.threshold,
        "cooldown": plateau.cooldown + 1 if plateau.cooldown else 0,
        "min_lr": plateau.min_lr,
    }
    defaults = PLATEAUS["ReduceLROnPlateau"]
    changed = {name: value for name, value in arguments.items() if value != defaults[name]}
    if not plateau.least_change:
        return Call("ReduceLROnPlateau", changed)
    least = plateau.least_change / (1 - plateau.factor)
    return Call("ReduceLROnPlateau", changed, f"while the rate is above {least:.3g}")


def read_clipping(**arguments: Any) -> Clipping:
    """The clipping of ``clipnorm``, ``global_clipnorm`` or ``clipvalue`` in an optimizer's call.

    As in Keras, None means absent and more than one is refused with ValueError; so is none, and
    what is out of range.
    """
    kinds: dict[str, type[Clipping]] = {
        "clipnorm": ClipNorm, "global_clipnorm": ClipGlobalNorm, "clipvalue": ClipValue,
    }  # fmt: skip
    limits = {name: value for name, value in arguments.items() if value is not None}
    if len(limits) != 1 or not limits.keys() <= kinds.keys():
        raise ValueError(f"one of {', '.join(kinds)} must be given, got {limits}")
    ((name, limit),) = limits.items()
    infinite = {"infinite": Infinite.NAN} if name == "global_clipnorm" else {}
    return kinds[name](limit=limit, **infinite)


def spell_clipping(clipping: Clipping) -> dict[str, float]:
    """The argument of a Keras optimizer that means the clipping, or Inexpressible."""
    require_clipping(clipping)
    if isinstance(clipping, ClipNorm):
        return {"clipnorm": clipping.limit}
    if isinstance(clipping, ClipValue):
        return {"clipvalue": clipping.limit}
    if clipping != ClipGlobalNorm(limit=clipping.limit, infinite=Infinite.NAN):
        why = (
            "global_clipnorm adds nothing to the norm, and makes NaN of all elements when the "
            "norm is infinite"
        )
        size = "a clipped gradient is longer by the share added / norm"
        ours = f"samestep.frameworks.tensorflow.parts.Clipped(rule, {clipping!r})"
        raise Inexpressible(f"{clipping!r} in a Keras optimizer", why, ours, size)
    return {"global_clipnorm": clipping.limit}


def read_average(**arguments: Any) -> Average:
    """The average of ``use_ema=True`` with ``ema_momentum`` in an optimizer's call.

    Inexpressible for ``ema_overwrite_frequency`` and together with ``gradient_accumulation_steps``;
    ValueError for any other argument.
    """
    known = {
        "use_ema": True, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
        "gradient_accumulation_steps": None,
    }  # fmt: skip
    a = complete("keras.optimizers", {"use_ema": known}, "use_ema", arguments)
    if a["ema_overwrite_frequency"]:
        why = "it writes the average back into the weights, so training itself changes"
        raise Inexpressible("ema_overwrite_frequency in an average", why, "use_ema without it")
    if read_accumulation(a["gradient_accumulation_steps"] or 1).steps > 1:
        why = "Keras updates the average after every batch, also when the weights have not moved"
        k = a["gradient_accumulation_steps"]
        instead = (
            f"ema_momentum**(1/{k}) and a look just before a step, or "
            "samestep.frameworks.tensorflow.parts.Averages"
        )
        size = f"ema_momentum acts {k} times a step"
        raise Inexpressible("use_ema with gradient_accumulation_steps", why, instead, size)
    return MovingAverage(keep=a["ema_momentum"])


def spell_average(average: Average) -> dict[str, Any]:
    """The arguments of a Keras optimizer that mean the average, or Inexpressible."""
    require_average(average)
    ours = "samestep.frameworks.tensorflow.parts.Averages(variables, average)"
    what = f"{average!r} in a Keras optimizer"
    if not isinstance(average, MovingAverage) or average.by_updates:
        raise Inexpressible(what, "use_ema forgets at a constant pace", ours)
    if average.start is not Start.COPY:
        raise Inexpressible(what, "use_ema copies the weights after the first step", ours)
    return {"use_ema": True, "ema_momentum": average.keep}


def read_accumulation(gradient_accumulation_steps: int) -> Accumulation:
    """The accumulation of ``gradient_accumulation_steps`` in a call: Keras takes the mean."""
    return Accumulation(steps=gradient_accumulation_steps)


def spell_accumulation(accumulation: Accumulation) -> dict[str, int]:
    """The argument of a Keras optimizer that means the accumulation; Inexpressible for a sum.

    Keras refuses 1 step, so that is no argument at all.
    """
    require_accumulation(accumulation)
    if accumulation.total is Total.SUM:
        instead = (
            f"a loss times {accumulation.steps}, or "
            "samestep.frameworks.tensorflow.parts.Accumulator(accumulation)"
        )
        raise Inexpressible(
            f"{accumulation!r} in a Keras optimizer", "Keras takes the mean", instead
        )
    return {"gradient_accumulation_steps": accumulation.steps} if accumulation.steps > 1 else {}


def read_loss_scale(name: str = "LossScaleOptimizer", /, **arguments: Any) -> LossScale:
    """The loss scale of ``LossScaleOptimizer(**arguments)``, or of ``loss_scale_factor`` alone.

    A schedule waits while steps are skipped: it counts the inner optimizer's steps. Clipping comes
    after unscaling. Not modelled: Keras' scale may grow beyond float32, to infinity. ValueError for
    an unknown argument or a value out of range.
    """
    if arguments.keys() == {"loss_scale_factor"}:
        return LossScale(scale=arguments["loss_scale_factor"], dynamic=False)
    a = complete("keras.optimizers", LOSS_SCALES, name, arguments)
    return LossScale(scale=a["initial_scale"], steps=a["dynamic_growth_steps"])


def spell_loss_scale(loss_scale: LossScale) -> Call | dict[str, float]:
    """The wrapper in keras.optimizers that means the loss scale, or Inexpressible.

    A scale that stays is an argument of the optimizer itself, as a dict.
    """
    if not loss_scale.dynamic:
        return {"loss_scale_factor": loss_scale.scale}
    if loss_scale != LossScale(
        scale=loss_scale.scale, steps=loss_scale.steps, schedule=loss_scale.schedule
    ):
        why = "LossScaleOptimizer doubles and halves its scale"
        ours = "samestep.frameworks.tensorflow.parts.LossScaler(loss_scale)"
        raise Inexpressible(f"{loss_scale!r} in keras.optimizers", why, ours)
    arguments = {"initial_scale": loss_scale.scale, "dynamic_growth_steps": loss_scale.steps}
    defaults = LOSS_SCALES["LossScaleOptimizer"]
    changed = {name: value for name, value in arguments.items() if value != defaults[name]}
    if loss_scale.schedule is Skip.WAIT:
        return Call("LossScaleOptimizer", changed)
    condition = "without a schedule, which would wait while steps are skipped"
    return Call("LossScaleOptimizer", changed, condition)
