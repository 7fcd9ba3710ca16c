"""What must hold of the saved state of a tensor, so that it is loaded whole or refused.

The adapters ask this before they change anything. Arrays are those of any library.
"""

import contextlib
import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

from .namespace import Array, Namespace
from .rule import Rule

STEP = "step"  # the key of a tensor's step number
SWITCHED_ON = 0.5  # a value of any number that is zero while it is switched off


def check_saved(label: str, rule: Rule, theta: Array, saved: Any, xp: Namespace) -> None:
    """Refuse the saved state of ``theta`` unless ``rule`` can go on from it.

    ``saved`` maps "step" to the number of steps taken, and the names of the rule's states to
    arrays. It is empty if theta never had a gradient. ``label`` names theta in messages. Of theta
    only shape and dtype matter. ValueError says what is wrong, and what to do.
    """
    kind = type(rule).__name__
    if not isinstance(saved, Mapping):
        raise ValueError(f"{label}: the saved state must be a dict, got {saved!r:.80}")
    if not saved:
        return
    start = rule.start(theta, xp)
    missing = [name for name in (STEP, *start) if name not in saved]
    if missing == list(start) and not count_of(label, saved[STEP]):
        missing = []
    if missing:
        raise ValueError(
            f"{label}: its saved state must have {_listed([STEP, *start])} to go on under {kind}; "
            f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing. Save the whole "
            "state, or delete this parameter's entry, which then starts anew"
        )
    count_of(label, saved[STEP])
    shapes = {name: tuple(value.shape) for name, value in possible_states(rule, theta, xp).items()}
    for name, value in saved.items():
        if name == STEP:
            continue
        if name not in shapes:
            raise ValueError(
                f"{label}: {kind} keeps {_listed([STEP, *shapes])}, got {name!r} as well; "
                "if it belongs to another optimizer, load it there, else delete it"
            )
        if not hasattr(value, "shape") or not hasattr(value, "dtype"):
            raise ValueError(f"{label}: {name!r} must be an array, got {value!r:.80}")
        if tuple(value.shape) != shapes[name]:
            raise ValueError(
                f"{label}: {name!r} must have the shape {shapes[name]}, got {tuple(value.shape)}; "
                "load it into an optimizer of the parameters that it was saved for, in their order"
            )


def count_of(label: str, value: Any) -> int:
    """A saved step number as an int; ValueError unless it is a whole number, 0 or more."""
    number = value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        number = value.item()  # one number as an array
    real = isinstance(number, numbers.Real) and not isinstance(number, bool)
    if not real or not math.isfinite(number) or number < 0 or number != int(number):
        raise ValueError(
            f"{label}: 'step', the number of steps taken, must be a whole number, 0 or more, got "
            f"{value!r:.80}; without the right count a rule with bias correction takes wrong steps"
        )
    return int(number)


def possible_states(rule: Rule, theta: Array, xp: Namespace) -> dict[str, Array]:
    """Every state that a rule of this class may keep of ``theta``.

    Which it keeps depends on flags, such as amsgrad, and on numbers, such as momentum. If one of
    them is changed during training, states of before are there still.
    """
    states = rule.start(theta, xp)
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if isinstance(value, bool):
            switched: Any = not value
        elif isinstance(value, float) and not value:
            switched = SWITCHED_ON
        else:
            continue
        with contextlib.suppress(ValueError):  # of what is not allowed, or not for this shape
            states = {**rule.replace(**{field.name: switched}).start(theta, xp), **states}
    return states


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
