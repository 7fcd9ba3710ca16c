"""A known difference of conventions that is put in place of B's on a live layer."""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """What is set on a layer. ``text`` says what differs, and what to write in either framework."""

    text: str
    values: dict[str, Any]
    convention: str = ""
    part: str = ""  # the attribute of the layer that is changed itself, such as "cell"


@contextlib.contextmanager
def applied(layer: Any, exchange: Exchange) -> Iterator[None]:
    """Set the values in the layer's own dictionary, past Keras' tracking; undone at the end."""
    target = getattr(layer, exchange.part) if exchange.part else layer
    before = {name: target.__dict__.get(name, ...) for name in exchange.values}
    target.__dict__.update(exchange.values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is ...:
                target.__dict__.pop(name, None)
            else:
                target.__dict__[name] = value
