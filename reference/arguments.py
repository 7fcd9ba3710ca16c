"""Errors about arguments of a wrong kind, and fields that are given by name alone."""

import dataclasses
import reprlib
from typing import Any, Self

from samestep.reference.near_miss import did_you_mean

MOST_CHARACTERS = 100  # of a value in a message


class WrongArgument(TypeError, ValueError):
    """An argument of a wrong kind: for code that catches either of the two."""


def shown(value: Any) -> str:
    """A value in a message: in one line and short, a class as such."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = " ".join(repr(value).split())
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"an object of {type(value).__name__}, {reprlib.repr(value)[:MOST_CHARACTERS]}"


class ByName:
    """The base of dataclasses whose fields are given by name; an error says which there are."""

    def __new__(cls, *values: Any, **fields: Any) -> Self:
        names: list[str] = []
        if (values or fields) and dataclasses.is_dataclass(cls):
            names = [field.name for field in dataclasses.fields(cls)]
        if values:
            raise WrongArgument(
                f"{cls.__name__} takes its fields by name, {', '.join(names)}; got "
                f"{shown(values[0])} without one"
            )
        for name in fields:
            if name not in names:
                raise WrongArgument(
                    f"{cls.__name__} has no field {name!r}; it has: {', '.join(names)}"
                    f"{did_you_mean(name, names)}"
                )
        return super().__new__(cls)
