"""Optimizers without their library: ``Adam(params, lr=1e-3)``, or ``"adam"`` for model.compile."""

import ast
from collections.abc import Iterable

from samestep.reference.near_miss import did_you_mean

from .keras import keras
from .libraries import Place
from .positions import NEW_KERAS_2, ORDERS
from .script import EXAMPLE

PARAMETERS = ("param", "weights", "filter(", "group", "chain(")  # in what torch is given first
PASTED = tuple(library for library in ORDERS if library != NEW_KERAS_2)


def of_keras(name: str) -> str | None:
    """The optimizer that ``model.compile(optimizer=name)`` takes, in whatever letters; or None."""
    by_letters = {native.lower(): native for native in keras.natives}
    return by_letters.get(name.lower())


def unclear(name: str) -> ValueError:
    """The error for a name alone that may be several optimizers, or none."""
    libraries = [library for library in PASTED if name in ORDERS[library]]
    if libraries:
        calls = _calls(libraries, name, "")
        return ValueError(f"{EXAMPLE}, and {name} alone is not clear: write {calls}")
    if name in keras.left_out:
        return ValueError(f"{name} is left out: {keras.left_out[name]}")
    names: set[str] = set()
    for library in PASTED:
        names.update(ORDERS[library])
    return ValueError(f"{EXAMPLE}, got {name!r}{did_you_mean(name, sorted(names))}")


def choose(name: str, call: ast.Call) -> Place:
    """Where an optimizer is that is called without its library.

    The first argument and the names of the others decide. ValueError if they leave several.
    """
    libraries = [library for library in PASTED if name in ORDERS[library]]
    if not libraries:
        raise unclear(name)
    keywords = [keyword.arg for keyword in call.keywords if keyword.arg]
    if call.args and _is_number(call.args[0]):
        libraries = [library for library in libraries if library != "pytorch"]
    elif "params" in keywords or (call.args and _are_parameters(call.args[0])):
        libraries = [library for library in libraries if library == "pytorch"]
    fitting = [library for library in libraries if _takes(library, name, keywords)]
    arguments = ast.unparse(call)[len(ast.unparse(call.func)) :]
    if not fitting:
        unknown = ", ".join(keywords)
        raise ValueError(
            f"no {name} takes the arguments of {name}{arguments}: {unknown}; write "
            f"{_calls(libraries, name, '') or 'its library before it'} and the arguments of that"
        )
    if fitting == ["keras", "tf_keras"]:
        fitting = ["keras"]
    if len(fitting) > 1:
        raise ValueError(
            f"{name}{arguments} may be {_calls(fitting, name, arguments)}: write which; {EXAMPLE}"
        )
    return Place(fitting[0], name)


def _calls(libraries: Iterable[str], name: str, arguments: str) -> str:
    return " or ".join(f"{library}:{name}{arguments or '()'}" for library in libraries)


def _takes(library: str, name: str, keywords: list[str]) -> bool:
    return set(keywords) <= set(ORDERS[library][name].every)


def _is_number(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return isinstance(node, ast.BinOp)
    return isinstance(value, int | float)


def _are_parameters(node: ast.expr) -> bool:
    source = ast.unparse(node)
    several = isinstance(node, ast.List | ast.ListComp | ast.GeneratorExp | ast.Tuple)
    return several or any(word in source for word in PARAMETERS)
