"""Checks of what a Keras optimizer is given beside its rule."""

import inspect
from typing import Any

import keras
import numpy as np

from samestep.reference.arguments import WrongArgument, shown
from samestep.reference.near_miss import did_you_mean
from samestep.reference.parts import (
    Accumulation,
    Average,
    ClipGlobalNorm,
    ClipNorm,
    Clipping,
    ClipValue,
    Schedule,
)
from samestep.reference.parts.part import Part

NUMBERS = ("clipnorm", "clipvalue", "global_clipnorm", "ema_momentum", "loss_scale_factor")
WHOLE = ("gradient_accumulation_steps", "ema_overwrite_frequency")
OF_SGD = ("self", "momentum", "nesterov", "kwargs")  # its own, beside the arguments of all
KNOWN = tuple(
    name
    for name in inspect.signature(keras.optimizers.SGD.__init__).parameters
    if name not in OF_SGD
)
ARGUMENT_OF = {ClipNorm: "clipnorm", ClipValue: "clipvalue", ClipGlobalNorm: "global_clipnorm"}


def check_options(learning_rate: Any, options: dict[str, Any]) -> None:
    """Check the kinds of Keras' options: numbers where numbers are due, and no parts of ours."""
    _check_rate(learning_rate)
    for name, value in options.items():
        if name not in KNOWN:
            raise WrongArgument(
                f"{name} is no argument of Keras' optimizers{did_you_mean(name, KNOWN)}; there "
                f"are: {', '.join(KNOWN)}"
            )
        if isinstance(value, Part):
            raise WrongArgument(
                f"{name} must be {_due(name)}, got {shown(value)}; {_advice(value)}"
            )
        if value is not None and not _is_of_its_kind(name, value):
            raise WrongArgument(f"{name} must be {_due(name)}, got {shown(value)}")


def _check_rate(rate: Any) -> None:
    if rate is None or callable(rate) or _is_number(rate):
        return
    due = "learning_rate must be a number or a schedule of Keras"
    if isinstance(rate, Schedule):
        advice = f"samestep.frameworks.tensorflow.parts.Schedule({rate!r})"
        raise WrongArgument(f"{due}, got {shown(rate)}; write {advice}")
    raise WrongArgument(f"{due}, got {shown(rate)}")


def _is_of_its_kind(name: str, value: Any) -> bool:
    if name in WHOLE:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    return name not in NUMBERS or _is_number(value)


def _is_number(value: Any) -> bool:
    """True for a real number, also in an array or tensor without dimensions."""
    if isinstance(value, str | bytes | bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _due(name: str) -> str:
    if name in WHOLE:
        return "a whole number"
    return "a number" if name in NUMBERS else "True or False" if name == "use_ema" else "text"


def _advice(part: Part) -> str:
    """How Keras is given what a part means."""
    if isinstance(part, Clipping):
        argument = ARGUMENT_OF.get(type(part), "clipnorm")
        return (
            f"write {argument}={part.limit!r}, or "
            f"samestep.frameworks.tensorflow.parts.Clipped(rule, {part!r})"
        )
    if isinstance(part, Average):
        return f"write use_ema=True, ema_momentum={getattr(part, 'keep', 0.99)!r}"
    if isinstance(part, Accumulation):
        return f"write gradient_accumulation_steps={part.steps}"
    return "it belongs elsewhere"
