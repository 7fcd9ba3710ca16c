"""The base of all parts: frozen, checked fields, and a form of plain numbers and strings."""

import dataclasses
import enum
from typing import Any

from samestep.reference.arguments import ByName
from samestep.reference.rule import checked


def whole(least: int, default: Any = dataclasses.MISSING) -> Any:
    """A whole number of ``least`` or more; without a default it must be given."""
    return dataclasses.field(default=default, metadata={"least": least})


def given(interval: str) -> Any:
    """A real number in ``interval`` that must be given, written like ``"[0, 1)"``."""
    return dataclasses.field(metadata={"interval": interval})


def several(interval: str) -> Any:
    """Real numbers in ``interval`` that must be given, as any sequence; stored as a tuple."""
    return dataclasses.field(metadata={"each": interval})


def parts_of(kind: type["Part"], example: str) -> Any:
    """At least one part of a kind, as any sequence; stored as a tuple. It must be given."""
    return dataclasses.field(metadata={"parts": kind, "example": example})


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Part(ByName):
    """The base of every part; ``ValueError`` says what must hold of a field and what came."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _stored(field, getattr(self, field.name)))

    def to_dict(self) -> dict[str, Any]:
        """Numbers, strings and lists alone, with the part's name; ``restore`` is the inverse."""
        values = {
            field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)
        }
        return {"part": type(self).__name__, **values}

    def __repr__(self) -> str:
        """The fields that are not defaults."""
        values = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                values.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(values)})"


def restore(plain: dict[str, Any]) -> Any:
    """The part whose ``to_dict`` gave ``plain``; ValueError if there is no part of its name."""
    from samestep.reference import parts

    fields = {key: _restored(value) for key, value in plain.items() if key != "part"}
    name = plain.get("part")
    kind = getattr(parts, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, Part)):
        raise ValueError(
            f"part must be the name of a part of samestep.reference.parts, got {name!r}"
        )
    return kind(**fields)


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(element) for element in value]
    return restore(value) if isinstance(value, dict) else value


def saved_part(state: dict[str, Any], name: str, part: Part) -> None:
    """Check that ``state[name]`` is the plain form of ``part``; ValueError says what it is."""
    plain = state.get(name)
    theirs = restore(plain) if isinstance(plain, dict) else plain
    if theirs != part:
        raise ValueError(f"the saved state must belong to {part!r}, got {theirs!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    return value.name if isinstance(value, enum.Enum) else value


def _stored(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value as the part stores it."""
    if "least" in field.metadata:
        least = field.metadata["least"]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{field.name} must be a whole number from {least} on, got {value!r}")
        return value
    if "each" in field.metadata:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise ValueError(f"{field.name} must be a sequence of numbers, got {value!r}")
        element: Any = dataclasses.field(metadata={"interval": field.metadata["each"]})
        element.name = f"each of {field.name}"
        return tuple(checked(element, number) for number in value)
    if "parts" in field.metadata:
        return _parts(field, value)
    return checked(field, value) if field.metadata else value


def _parts(field: dataclasses.Field[Any], value: Any) -> tuple[Any, ...]:
    kind = field.metadata["parts"]
    parts = tuple(value) if isinstance(value, list | tuple) else ()
    if not parts or not all(isinstance(part, kind) for part in parts):
        example = field.metadata["example"]
        raise ValueError(f"{field.name} must be a list of parts such as {example}, got {value!r}")
    return parts
