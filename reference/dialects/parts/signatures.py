"""The signatures of natives that are not optimizers, and a call's arguments completed from them."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from samestep.reference.arguments import WrongArgument, shown
from samestep.reference.checks import require
from samestep.reference.near_miss import did_you_mean

SEQUENCES = ("milestones", "boundaries", "values")  # arguments that are lists of numbers


class _Required:
    """The type of ``REQUIRED``."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()  # stands for the default of an argument that has none

Signatures: TypeAlias = Mapping[str, Mapping[str, Any]]  # of each name the arguments with defaults


def complete(
    prefix: str, known: Signatures, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The call's arguments with the defaults filled in.

    ``prefix`` says in messages where the natives are. ValueError for an unknown name, an unknown
    argument or a missing one.
    """
    require("name", name, str, "the name of a call")
    if name not in known:
        names = ", ".join(filter(None, known))
        advice = did_you_mean(name, filter(None, known))
        raise ValueError(f"{prefix} has nothing called {name!r} here; there are: {names}{advice}")
    for argument in arguments:
        if argument not in known[name]:
            takes = ", ".join(known[name])
            advice = did_you_mean(argument, known[name])
            raise ValueError(f"{name} has no argument {argument!r}; it takes: {takes}{advice}")
    for argument, value in arguments.items():
        _check_kind(name, argument, value, known[name][argument])
    values = {**known[name], **arguments}
    missing = [argument for argument, value in values.items() if value is REQUIRED]
    if missing:
        raise ValueError(f"{name} must be given {', '.join(missing)}")
    return values


def _check_kind(name: str, argument: str, value: Any, default: Any) -> None:
    """Check that a value is no text where a number is due, and a sequence where one is due."""
    if argument in SEQUENCES and (isinstance(value, str) or not hasattr(value, "__iter__")):
        raise WrongArgument(f"{argument} of {name} must be a list of numbers, got {shown(value)}")
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if isinstance(value, str) and argument != "norm_type" and (is_number or default is REQUIRED):
        raise WrongArgument(f"{argument} of {name} must be a number, got {value!r}")


def choice(name: str, value: Any, choices: dict[str, Any]) -> Any:
    """The choice of this name; ValueError for a name that is none of them."""
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, got {value!r}")
    return choices[value]
