"""Values for the variables of pasted calls, such as ``args.lr``."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .known import find
from .pasted import PastedCall, read_call
from .script import parsed_expression
from .values import Variable, evaluate

RATE = 1e-3  # the value of a learning rate that both sides leave open


class Filled(NamedTuple):
    """Texts with values in place of variables, and what was assumed."""

    texts: list[str]
    assumptions: tuple[str, ...] = ()


def fill(texts: Sequence[str], values: Iterable[str]) -> list[str]:
    """The texts with values in place of variables; ``values`` are like ``"args.lr=0.001"``.

    ValueError for a value that is not plain, and for a variable that is in none of the texts.
    """
    filled = list(texts)
    for pair in values:
        name, _, value = (part.strip() for part in pair.partition("="))
        if not value or isinstance(evaluate(parsed_expression(value)), Variable):
            raise ValueError(f"--let must be like args.lr=0.001, with a plain value, got {pair!r}")
        variable = re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w.(]|\s*=(?!=))")
        if not any(variable.search(text) for text in filled):
            raise ValueError(f"--let {pair}: there is no {name} in {' or '.join(texts)}")
        filled = [variable.sub(value, text) for text in filled]
    return filled


def share_rate(first: str, second: str) -> Filled:
    """Two texts with a value for a variable that is the learning rate in both, and alone unknown.

    They are compared at that rate, since any other gives the same answer.
    """
    sources = {_unknown_rate(text) for text in (first, second)}
    source = sources.pop()
    if sources or source is None:
        return Filled([first, second])
    assumption = f"{source} is the learning rate of both, and they are compared at {RATE}"
    return Filled(fill([first, second], [f"{source}={RATE}"]), (assumption,))


def _unknown_rate(text: str) -> str | None:
    """The variable that is the learning rate of a call, and is all that is unknown; or None."""
    try:
        call = read_call(text)
    except ValueError:
        return None
    (source, *more) = call.variables.values() or [None]
    return None if more or source is None or not _is_rate(call) else source


def _is_rate(call: PastedCall) -> bool:
    """True if the first variable of a call is its learning rate."""
    native = find(call.dialect).natives.get(call.name)
    argument = next(iter(call.variables))
    return native is not None and native.arguments.get(argument) == "lr"
