"""The arguments of a pasted call by name, as Python binds them, with their values."""

import ast
from typing import Any

from samestep.reference.parts import Schedule

from . import parts
from .call import Inexpressible
from .known import find
from .libraries import canonical
from .positions import ORDERS, Order
from .pytorch import EXECUTION
from .values import Names, Variable, evaluate, is_number

SCHEDULES = ("keras.optimizers.schedules", "tensorflow.keras.optimizers.schedules",
             "tf_keras.optimizers.schedules")  # fmt: skip
NO_EFFECT = {*EXECUTION, "name", "use_locking", "jit_compile", "accum_name", "linear_name",
             "use_own_namescope_for_non_slot_vars"}  # fmt: skip


def bind(library: str, name: str, call: ast.Call, names: Names) -> dict[str, Any]:
    """The values of a call's arguments, by name.

    ``library`` is a key of ``ORDERS``, or a dialect without an order of arguments. What PyTorch is
    given to optimize is left out, and so is a variable that changes no step. ValueError for an
    argument that is given twice, for too many by position, and for settings of parameter groups.
    """
    order = ORDERS.get(library, {}).get(name)
    nodes = by_name(library, name, call, order)
    if library == "pytorch" and "params" in nodes:
        _check_parameters(name, nodes.pop("params"), names)
    values = {argument: value_of(node, names) for argument, node in nodes.items()}
    return {
        argument: value
        for argument, value in values.items()
        if not (isinstance(value, Variable) and argument in NO_EFFECT)
    }


def value_of(node: ast.expr, names: Names) -> Any:
    """The value of an expression: plain, a ``Schedule``, or a ``Variable``."""
    if isinstance(node, ast.Call) and ast.unparse(node) not in names.values:
        module, _, name = canonical(names.path(node.func)).rpartition(".")
        if module in SCHEDULES:
            return read_schedule(name, node, names)
    return evaluate(node, names)


def read_schedule(name: str, call: ast.Call, names: Names) -> Schedule | Variable:
    """The schedule of a call in keras.optimizers.schedules; a ``Variable`` if it holds one."""
    if name not in parts.keras.SCHEDULES:
        return parts.keras.read_schedule(name)  # an error that lists the schedules there are
    nodes = by_name("keras.optimizers.schedules", name, call, Order(schedule_order(name)))
    values = {argument: value_of(node, names) for argument, node in nodes.items()}
    if any(isinstance(value, Variable) for value in values.values()):
        return Variable(ast.unparse(call))
    return parts.keras.read_schedule(name, **values)


def schedule_order(name: str) -> tuple[str, ...]:
    """The arguments of a schedule as its signature has them, ``name`` among them."""
    arguments = tuple(parts.keras.SCHEDULES[name])
    if name == "CosineDecay":
        return (*arguments[:3], "name", *arguments[3:])
    return (*arguments, "name")


def by_name(library: str, name: str, call: ast.Call, order: Order | None) -> dict[str, ast.expr]:
    """The expression of each argument, by name; ``*args`` and ``**kwargs`` under those names.

    ValueError for an argument that is given twice, and for too many by position.
    """
    title = f"{library}:{name}"
    by_position = order.by_position if order else ()
    nodes: dict[str, ast.expr] = {}
    for index, node in enumerate(call.args):
        if isinstance(node, ast.Starred):
            nodes[ast.unparse(node)] = node
            break
        if order is None:
            _check_known(library, name)
            raise ValueError(
                f"{title} takes its arguments by name, got {ast.unparse(node)} without one"
            )
        if index >= len(by_position):
            raise ValueError(
                f"{title} takes at most {len(by_position)} arguments by position, "
                f"{', '.join(by_position)}; got {ast.unparse(node)} as well"
            )
        nodes[by_position[index]] = node
    for keyword in call.keywords:
        argument = keyword.arg or f"**{ast.unparse(keyword.value)}"
        if argument in nodes:
            first, second = ast.unparse(nodes[argument]), ast.unparse(keyword.value)
            raise ValueError(f"{title} must be given {argument} once, got {first} and {second}")
        nodes[argument] = keyword.value
    return nodes


def _check_known(library: str, name: str) -> None:
    """ValueError for an optimizer that a dialect does not have."""
    try:
        dialect = find(library)
    except ValueError:
        return
    dialect.find(name)


def _check_parameters(name: str, node: ast.expr, names: Names) -> None:
    """ValueError if PyTorch is given a number to optimize, or groups with settings of their own."""
    value = evaluate(node, names)
    if is_number(value) or isinstance(value, str | bool | Schedule):
        raise ValueError(
            f"torch.optim.{name} is given the parameters first, got {ast.unparse(node)}; did you "
            f"mean lr={ast.unparse(node)}?"
        )
    if not isinstance(node, ast.List | ast.Tuple):
        return
    for group in node.elts:
        for key in group.keys if isinstance(group, ast.Dict) else ():
            setting = ast.unparse(key) if key else "**"
            if setting != repr("params"):
                raise Inexpressible(
                    f"a parameter group with {setting} of its own",
                    "a rule has one setting for all its parameters",
                    f"one call of torch.optim.{name} for each group",
                )
