"""The arguments of a native that is not an optimizer, as a table: its name to its arguments with their defaults."""

from collections.abc import Mapping
from typing import Any

REQUIRED = object()  # stands for the default of an argument that has none

Table = Mapping[str, Mapping[str, Any]]


def complete(prefix: str, known: Table, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments with the defaults filled in; ValueError for an unknown name, an unknown argument or a
    missing one."""
    if name not in known:
        raise ValueError(f"{prefix} has nothing called {name!r} here; there are: {', '.join(filter(None, known))}")
    for argument in arguments:
        if argument not in known[name]:
            raise ValueError(f"{name} has no argument {argument!r}; it takes: {', '.join(known[name])}")
    values = {**known[name], **arguments}
    missing = [argument for argument, value in values.items() if value is REQUIRED]
    if missing:
        raise ValueError(f"{name} must be given {', '.join(missing)}")
    return values
