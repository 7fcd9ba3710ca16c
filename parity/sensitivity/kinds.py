"""The kinds of edit that mutants are made of; each yields edits for one node of the syntax tree.

A kind is a function ``(location, source) -> Iterator[Edit]``. ``KINDS`` lists them in the order in
which they are tried.
"""

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple


class Source:
    """A source text that knows where each node of its syntax tree stands; ValueError unless it is
    ASCII.
    """

    def __init__(self, text: str) -> None:
        if not text.isascii():  # a syntax tree counts columns in bytes, not in characters
            raise ValueError(
                "a source that mutants are made from must be ASCII; write other letters as escapes"
            )
        self.text = text
        self.code = _without_comments(text)
        lengths = map(len, text.splitlines(keepends=True))
        self.line_begins = list(itertools.accumulate(lengths, initial=0))

    def span(self, node: Any) -> tuple[int, int]:
        """The offsets in the text at which a node begins and ends."""
        begin = self.line_begins[node.lineno - 1] + node.col_offset
        return begin, self.line_begins[node.end_lineno - 1] + node.end_col_offset

    def text_of(self, node: Any) -> str:
        """The source code of a node."""
        begin, end = self.span(node)
        return self.text[begin:end]

    def line_of(self, offset: int) -> int:
        """The number, from 1, of the line in which an offset lies."""
        return self.text.count("\n", 0, offset) + 1


def _without_comments(text: str) -> str:
    """The text with a space for each character of a comment."""
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start[0] - 1, token.start[1]
            end = column + len(token.string)
            lines[row] = lines[row][:column] + " " * len(token.string) + lines[row][end:]
    return "".join(lines)


class Location(NamedTuple):
    """A node of the syntax tree, its parent, and the function around it."""

    node: Any
    parent: Any
    function: ast.FunctionDef | None

    @property
    def function_name(self) -> str:
        """The name of the function around the node; empty at the level of a class or module."""
        return self.function.name if self.function else ""


class Edit(NamedTuple):
    """From offset ``begin`` to ``end`` the source becomes ``replacement``."""

    begin: int
    end: int
    replacement: str


OPERATORS = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "-"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"), ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.And: ("and", "or"),
    ast.Or: ("or", "and"), ast.MatMult: ("@", "*"),
}  # fmt: skip
OPPOSITES = {
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max",
    "any": "all", "all": "any",
}  # fmt: skip
DROPPED = {
    "sqrt",
    "square",
    "abs",
    "sign",
    "transpose",
}  # functions that may be replaced by their argument
INTERVAL = re.compile(r"[\[(][^,]+,[^,]+[\])]")
OTHER_END = {"[": "(", "(": "[", ")": "]", "]": ")"}


def constants(location: Location, source: Source) -> Iterator[Edit]:
    """A number grows by 1 or doubles, a flag turns, an end of an interval opens or closes."""
    node = location.node
    if not isinstance(node, ast.Constant):
        return
    begin, end = source.span(node)
    value = node.value
    if isinstance(value, bool):
        yield Edit(begin, end, str(not value))
    elif isinstance(value, int):
        yield Edit(begin, end, str(value + 1))
    elif isinstance(value, float):
        yield Edit(begin, end, repr(2 * value or 1.0))
    elif isinstance(value, str) and INTERVAL.fullmatch(value):
        for offset in (begin + 1, end - 2):
            yield Edit(offset, offset + 1, OTHER_END[source.text[offset]])


def operators(location: Location, source: Source) -> Iterator[Edit]:
    """Each operator, comparison, ``and`` and ``or`` becomes its counterpart."""
    node = location.node
    triples: list[tuple[ast.expr, ast.AST, ast.expr]]
    if isinstance(node, ast.BinOp):
        triples = [(node.left, node.op, node.right)]
    elif isinstance(node, ast.AugAssign):
        triples = [(node.target, node.op, node.value)]
    elif isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        triples = list(zip(operands, node.ops, node.comparators, strict=False))
    elif isinstance(node, ast.BoolOp):
        triples = [(left, node.op, right) for left, right in itertools.pairwise(node.values)]
    else:
        return
    for left, operator, right in triples:
        old, new = OPERATORS[type(operator)]
        offset = source.text.index(old, source.span(left)[1], source.span(right)[0])
        yield Edit(offset, offset + len(old), new)


def signs(location: Location, source: Source) -> Iterator[Edit]:
    """A minus, or a ``not``, is forgotten."""
    if isinstance(location.node, ast.UnaryOp):
        begin, _ = source.span(location.node)
        operand_begin, _ = source.span(location.node.operand)
        yield Edit(begin, operand_begin, "(" * source.text[begin:operand_begin].count("("))


def functions(location: Location, source: Source) -> Iterator[Edit]:
    """A minimum becomes a maximum, a function is replaced by its argument, a choice takes the other
    value.
    """
    node = location.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    _, end = source.span(node.func)
    if name in OPPOSITES:
        yield Edit(end - len(name), end, OPPOSITES[name])
    one_argument = (
        len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)
    )
    droppable = name in DROPPED or name.startswith("_")
    if one_argument and droppable and not isinstance(location.parent, ast.Expr):
        yield Edit(*source.span(node), f"({source.text_of(node.args[0])})")
    if name == "where":
        yield _exchange(node.args[-2], node.args[-1], source)


def coefficients(location: Location, source: Source) -> Iterator[Edit]:
    """Two neighbours among the coefficients that a rule returns change places."""
    node = location.node
    returned = isinstance(location.parent, ast.Return) and location.function_name == "coefficients"
    if returned and isinstance(node, ast.Call):
        values = [keyword.value for keyword in node.keywords if keyword.arg]
        for left, right in itertools.pairwise(values):
            if source.text_of(left) != source.text_of(right):
                yield _exchange(left, right, source)


def needs(location: Location, source: Source) -> Iterator[Edit]:
    """A hyperparameter that matters only with another is declared to matter always."""
    node = location.node
    if isinstance(node, ast.keyword) and node.arg == "matters_with" and not location.function_name:
        yield Edit(*source.span(node.value), "()")


def conditions(location: Location, source: Source) -> Iterator[Edit]:
    """A condition always holds, or never."""
    node = location.node
    if isinstance(node, ast.If | ast.IfExp):
        yield Edit(*source.span(node.test), "True")
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield Edit(*source.span(node.test), "False")


def steps(location: Location, source: Source) -> Iterator[Edit]:
    """The step number is one behind, or one ahead."""
    node = location.node
    if isinstance(node, ast.Name) and node.id == "t" and isinstance(node.ctx, ast.Load):
        yield Edit(*source.span(node), "(t - 1)")
        yield Edit(*source.span(node), "(t + 1)")


def states(location: Location, source: Source) -> Iterator[Edit]:
    """An entry of the state starts one higher, or keeps its old value."""
    node = location.node
    if location.function_name == "start" and isinstance(node, ast.DictComp):
        for letter in _letters(node.generators[0].iter):
            bump = f"({source.text_of(node.key)} == {letter!r}) * 1.0"
            yield Edit(*source.span(node.value), f"({source.text_of(node.value)}) + {bump}")
    if isinstance(node, ast.Dict) and location.function_name in ("start", "update"):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and location.function_name == "update":
                yield Edit(*source.span(value), f"state[{source.text_of(key)}]")
            elif key is not None:
                yield Edit(*source.span(value), f"{source.text_of(value)} + 1.0")


def stale(location: Location, source: Source) -> Iterator[Edit]:
    """An update uses the state before the step for the new one, or the raw gradient for the decayed
    one.
    """
    node = location.node
    if location.function_name != "update" or not isinstance(node, ast.Name):
        return
    if isinstance(node.ctx, ast.Load):
        if f'state["{node.id}"]' in source.text and not isinstance(location.parent, ast.Dict):
            yield Edit(*source.span(node), f'state["{node.id}"]')
        if node.id == "g":
            yield Edit(*source.span(node), "gradient")


def left_out(location: Location, source: Source) -> Iterator[Edit]:
    """A statement is left out, if all names that follow are bound without it."""
    node, parent = location.node, location.parent
    is_whole_branch = isinstance(parent, ast.If) and parent.body == [node] and not parent.orelse
    if is_whole_branch:  # the same as a condition that never holds
        return
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if is_call or isinstance(node, ast.Raise | ast.AugAssign | ast.Delete) or _rebinds(location):
        yield Edit(*source.span(node), "pass")


KINDS = (
    constants,
    operators,
    signs,
    functions,
    coefficients,
    needs,
    conditions,
    steps,
    states,
    stale,
    left_out,
)


def _exchange(left: Any, right: Any, source: Source) -> Edit:
    """Two expressions change places; what stands between them stays."""
    begin, left_end = source.span(left)
    right_begin, end = source.span(right)
    between = source.text[left_end:right_begin]
    return Edit(begin, end, source.text_of(right) + between + source.text_of(left))


def _letters(node: ast.expr) -> list[str]:
    """The letters of the strings in an expression, each once: the names of the state in ``for name
    in "mv"``.
    """
    strings = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    letters = itertools.chain.from_iterable(text for text in strings if isinstance(text, str))
    return list(dict.fromkeys(letters))


def _rebinds(location: Location) -> bool:
    """True if an assignment changes what has a value already: an attribute, an item, or a name
    bound above it.
    """
    node, function = location.node, location.function
    if not isinstance(node, ast.Assign) or function is None:
        return False
    if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
        return True
    bound = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    bound |= {name.id for name in _stored_names(function) if name.lineno < node.lineno}
    parts = itertools.chain.from_iterable(map(ast.walk, node.targets))
    return {name.id for name in parts if isinstance(name, ast.Name)} <= bound


def _stored_names(function: ast.FunctionDef) -> Iterator[ast.Name]:
    for part in ast.walk(function):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part
