"""The values of a pasted call: literals, their arithmetic, and the words that wrap a number.

Nothing is executed. What only a running program knows becomes a ``Variable``.
"""

import ast
import dataclasses
import operator
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from .libraries import canonical

MOST_BITS: Final = 1023  # of a number: a float can hold no more
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}  # fmt: skip
ROUNDS_TO = {  # what a wrapped number is rounded to: the letter that struct has for it
    "float16": "e", "float32": "f", "float64": "d",
}  # fmt: skip
ARRAYS = ("numpy", "torch", "tensorflow", "jax.numpy")  # modules with dtypes and tensors
TENSORS = {  # functions that make a tensor of a number, and its dtype if none is given
    "torch.tensor": "float32", "torch.as_tensor": "float32", "torch.scalar_tensor": "float32",
    "tensorflow.constant": "float32", "tensorflow.Variable": "float32",
    "tensorflow.convert_to_tensor": "float32", "jax.numpy.array": "float32",
    "jax.numpy.asarray": "float32", "numpy.array": "float64", "numpy.asarray": "float64",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, repr=False)
class Variable:
    """A value that only the running program knows; ``source`` is what stands in the text."""

    source: str

    def __repr__(self) -> str:
        return self.source


@dataclasses.dataclass(frozen=True)
class Names:
    """What the names of a text stand for.

    ``paths`` maps an imported name to its dotted path, ``values`` what is assigned, or given by
    the user, to its value.
    """

    paths: Mapping[str, str]
    values: Mapping[str, Any]

    def path(self, node: ast.expr) -> str:
        """The dotted path that a name such as ``optim.Adam`` stands for; empty if it is no name."""
        if isinstance(node, ast.Name):
            return canonical(self.paths.get(node.id, node.id))
        if isinstance(node, ast.Attribute):
            before = self.path(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""


NO_NAMES: Final = Names({}, {})


def evaluate(node: ast.expr, names: Names = NO_NAMES) -> Any:
    """The value of an expression; a ``Variable`` if the text does not say it.

    ValueError for arithmetic that has no result, for words around something that is no number, and
    for a function.
    """
    source = ast.unparse(node)
    if source in names.values:
        return names.values[source]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return _signed(sign, evaluate(operand, names), source)
        case ast.BinOp():
            return _arithmetic(node, names, source)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            values = [evaluate(element, names) for element in elements]
            if any(isinstance(value, Variable) for value in values):
                return Variable(source)
            return tuple(values) if isinstance(node, ast.Tuple) else values
        case ast.Call():
            return _wrapped(node, names, source)
        case ast.Attribute(attr=name) if names.path(node.value) in ARRAYS:
            return name if "float" in name or "int" in name else Variable(source)
        case ast.Lambda():
            raise ValueError(
                f"{source} is a function, and functions are not executed here; write the number, "
                "or the schedule, that it stands for"
            )
    return Variable(source)


def is_number(value: Any) -> bool:
    """True for a whole number or a float, not for a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _signed(sign: ast.unaryop, value: Any, source: str) -> Any:
    if isinstance(value, Variable):
        return Variable(source)
    if not is_number(value):
        raise ValueError(f"{source}: a sign must stand before a number, got {value!r}")
    return -value if isinstance(sign, ast.USub) else value


def _arithmetic(node: ast.BinOp, names: Names, source: str) -> Any:
    left = evaluate(node.left, names)
    right = evaluate(node.right, names)
    compute = OPERATORS.get(type(node.op))
    if isinstance(left, Variable) or isinstance(right, Variable):
        return Variable(source)
    if compute is None or not (is_number(left) and is_number(right)):
        raise ValueError(
            f"{source}: arithmetic must be + - * / // % ** of numbers, got {left!r} and {right!r}"
        )
    if isinstance(node.op, ast.Pow) and _is_huge(left, right):
        raise ValueError(f"{source} is too large a power for a hyperparameter")
    try:
        result = compute(left, right)
    except (ZeroDivisionError, OverflowError) as error:
        raise ValueError(f"{source} has no value: {error}") from error
    if isinstance(result, complex) or abs(result) > 2**MOST_BITS:
        raise ValueError(f"{source} must be a real number below 1e308, got another")
    return result


def _is_huge(base: float, exponent: float) -> bool:
    """True if a power of whole numbers has more bits than a float could ever hold."""
    if not isinstance(base, int) or not isinstance(exponent, int):
        return False
    return base.bit_length() * abs(exponent) > MOST_BITS


def _wrapped(node: ast.Call, names: Names, source: str) -> Any:
    """The number in ``float("1e-3")``, ``np.float32(1e-3)`` or ``torch.tensor(1e-3)``."""
    path = names.path(node.func)
    module, _, name = path.rpartition(".")
    converts = path in ("float", "int")
    rounds = module in ARRAYS and name in ROUNDS_TO
    if not (converts or rounds or path in TENSORS) or not node.args:
        return Variable(source)
    value = evaluate(node.args[0], names)
    if isinstance(value, Variable):
        return Variable(source)
    if converts:
        return _converted(path, value, source)
    if not is_number(value):
        raise ValueError(f"{source} must hold one number, got {value!r}")
    dtype = name if rounds else _dtype(node, names) or TENSORS[path]
    if dtype not in ROUNDS_TO:
        raise ValueError(f"{source}: dtype must be one of {', '.join(ROUNDS_TO)}, got {dtype}")
    return _rounded(value, dtype, source)


def _converted(kind: str, value: Any, source: str) -> float:
    try:
        return int(value) if kind == "int" else float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{source} is no number") from error


def _dtype(node: ast.Call, names: Names) -> str | None:
    """The dtype that a call gives; None if it gives none."""
    for keyword in node.keywords:
        if keyword.arg == "dtype":
            return str(evaluate(keyword.value, names))
    return None


def _rounded(value: float, dtype: str, source: str) -> float:
    letter = ROUNDS_TO[dtype]
    try:
        number: float = struct.unpack(letter, struct.pack(letter, float(value)))[0]
    except OverflowError as error:
        raise ValueError(f"{source} is too large for {dtype}") from error
    return number
