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
    Exponential,
    Infinite,
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
    "CosineDecay": {
        "initial_learning_rate": REQUIRED, "decay_steps": REQUIRED, "alpha": 0.0,
        "warmup_target": None,
        "warmup_steps": 0,
    },
}  # fmt: skip


def read_schedule(name: str, /, **arguments: Any) -> Schedule:
    """The schedule that ``keras.optimizers.schedules.<name>(**arguments)`` follows.

    Raises ValueError for an unknown name or argument, for one that is missing and for a value out
    of range; Inexpressible for ``cycle=True``.
    """
    arguments.pop("name", None)
    a = complete("keras.optimizers.schedules", SCHEDULES, name, arguments)
    match name:
        case "PiecewiseConstantDecay":
            return Piecewise(boundaries=a["boundaries"], rates=a["values"], switch=Switch.AFTER)
        case "ExponentialDecay":
            lr, steps, factor = a["initial_learning_rate"], a["decay_steps"], a["decay_rate"]
            return Exponential(lr=lr, factor=factor, steps=steps, staircase=a["staircase"])
        case "PolynomialDecay":
            if a["cycle"]:
                instead = (
                    "keras.optimizers.schedules.PolynomialDecay itself, as the adapter's "
                    "learning_rate"
                )
                raise Inexpressible(
                    "PolynomialDecay(cycle=True)", "no schedule here starts again", instead
                )
            lr, end = a["initial_learning_rate"], a["end_learning_rate"]
            return Polynomial(lr=lr, end=end, steps=a["decay_steps"], power=a["power"])
    start, target = a["initial_learning_rate"], a["warmup_target"]
    lr = start if target is None else target
    cosine = Cosine(lr=lr, end=a["alpha"] * lr, steps=a["decay_steps"])
    if target is None or a["warmup_steps"] == 0:  # without a target Keras ignores warmup_steps
        return cosine
    return WarmUp(start=start, steps=a["warmup_steps"], then=cosine)


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
            return Call("PolynomialDecay", {**common, "power": power} if power != 1 else common)
        case WarmUp(then=Cosine() as then):
            warm = {"warmup_target": then.lr, "warmup_steps": schedule.steps}
            return Call(
                "CosineDecay", {"initial_learning_rate": schedule.start, **_cosine(then), **warm}
            )
        case Cosine():
            return Call("CosineDecay", {"initial_learning_rate": schedule.lr, **_cosine(schedule)})
    raise Inexpressible(what, "only CosineDecay has a warm-up", OURS)


def _cosine(schedule: Cosine) -> dict[str, Any]:
    what = f"{schedule!r} in keras.optimizers.schedules"
    if schedule.after is After.RETURN:
        raise Inexpressible(what, "CosineDecay stays at its end, this one rises again", OURS)
    if not schedule.end:
        return {"decay_steps": schedule.steps}
    if not schedule.lr:
        raise Inexpressible(
            what, "the end of CosineDecay is a share of its beginning, here 0", OURS
        )
    return {"decay_steps": schedule.steps, "alpha": schedule.end / schedule.lr}


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
    """The arguments of a Keras optimizer that mean the average; Inexpressible for equal weights."""
    require_average(average)
    if isinstance(average, MovingAverage):
        return {"use_ema": True, "ema_momentum": average.keep}
    ours = "samestep.frameworks.tensorflow.parts.Averages(variables, average)"
    raise Inexpressible(
        f"{average!r} in a Keras optimizer", "use_ema forgets at a constant pace", ours
    )


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
