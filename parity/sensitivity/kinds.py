"""The kinds of change that mutants are made of: each takes a node of the syntax tree and gives changes to the source."""

import ast
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Source:
    """A source text, and where the nodes of its syntax tree stand in it; ValueError for more than ASCII."""

    def __init__(self, text: str) -> None:
        if not text.isascii():  # a syntax tree counts columns in bytes
            raise ValueError("a source that mutants are made from must be ASCII, got other letters")
        self.text = text
        self.lines = list(itertools.accumulate(map(len, text.splitlines(keepends=True)), initial=0))

    def span(self, node: Any) -> tuple[int, int]:
        """Where a node begins and ends."""
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: Any) -> str:
        """The text of a node."""
        return self.text[slice(*self.span(node))]


class Place(NamedTuple):
    """A node of the syntax tree, what it is directly inside of, and the function around it."""

    node: Any
    parent: Any
    function: ast.FunctionDef | None

    @property
    def inside(self) -> str:
        """The name of the function around it."""
        return self.function.name if self.function else ""


class Change(NamedTuple):
    """From ``begin`` to ``end`` the source becomes ``after``."""

    begin: int
    end: int
    after: str


OPERATORS = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "-"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"), ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.And: ("and", "or"),
    ast.Or: ("or", "and"), ast.MatMult: ("@", "*"),
}  # fmt: skip
OPPOSITES = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "any": "all", "all": "any"}
DROPPED = {"sqrt", "square", "abs", "sign", "transpose"}  # functions whose argument may stand for their value
LIBRARIES = ("numpy", "torch", "tensorflow")
INTERVAL = re.compile(r"[\[(][^,]+,[^,]+[\])]")
OTHER_END = dict(zip("[(])", "([)]", strict=True))


def constants(place: Place, source: Source) -> Iterator[Change]:
    """A number one larger or twice as large, a flag turned, an end of an interval opened or closed."""
    node = place.node
    if not isinstance(node, ast.Constant):
        return
    begin, end = source.span(node)
    value = node.value
    if isinstance(value, bool):
        yield Change(begin, end, str(not value))
    elif isinstance(value, int):
        yield Change(begin, end, str(value + 1))
    elif isinstance(value, float):
        yield Change(begin, end, repr(2 * value or 1.0))
    elif isinstance(value, str) and INTERVAL.fullmatch(value):
        for at in (begin + 1, end - 2):
            yield Change(at, at + 1, OTHER_END[source.text[at]])


def operators(place: Place, source: Source) -> Iterator[Change]:
    """Each operator, comparison and logical word becomes its counterpart."""
    node = place.node
    between: list[tuple[ast.expr, ast.AST, ast.expr]]
    if isinstance(node, ast.BinOp):
        between = [(node.left, node.op, node.right)]
    elif isinstance(node, ast.AugAssign):
        between = [(node.target, node.op, node.value)]
    elif isinstance(node, ast.Compare):
        between = list(zip([node.left, *node.comparators], node.ops, node.comparators, strict=False))
    elif isinstance(node, ast.BoolOp):
        between = [(left, node.op, right) for left, right in itertools.pairwise(node.values)]
    else:
        return
    for left, operator, right in between:
        old, new = OPERATORS[type(operator)]
        at = source.text.index(old, source.span(left)[1], source.span(right)[0])
        yield Change(at, at + len(old), new)


def signs(place: Place, source: Source) -> Iterator[Change]:
    """A minus, or a not, is forgotten."""
    if isinstance(place.node, ast.UnaryOp):
        begin, _ = source.span(place.node)
        inner, _ = source.span(place.node.operand)
        yield Change(begin, inner, "(" * source.text[begin:inner].count("("))


def functions(place: Place, source: Source) -> Iterator[Change]:
    """The larger for the smaller; a function left away; the last two arguments of a choice exchanged."""
    node = place.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    _, end = source.span(node.func)
    if name in OPPOSITES:
        yield Change(end - len(name), end, OPPOSITES[name])
    alone = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)
    if alone and (name in DROPPED or name.startswith("_")) and not isinstance(place.parent, ast.Expr):
        yield Change(*source.span(node), f"({source.of(node.args[0])})")
    if name == "where":
        yield _exchanged(node.args[-2], node.args[-1], source)


def imports(place: Place, source: Source) -> Iterator[Change]:
    """A function of an array library is taken for its neighbour."""
    node = place.node
    if isinstance(node, ast.ImportFrom) and node.module in LIBRARIES:
        for one, other in zip(node.names, [*node.names[1:], node.names[0]], strict=True):
            yield Change(*source.span(one), f"{other.name} as {one.name}")


def coefficients(place: Place, source: Source) -> Iterator[Change]:
    """Two neighbours among the coefficients change places."""
    node = place.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Coefficients":
        told = [keyword.value for keyword in node.keywords if keyword.arg]
        for one, other in itertools.pairwise(told):
            if source.of(one) != source.of(other):
                yield _exchanged(one, other, source)


def needs(place: Place, source: Source) -> Iterator[Change]:
    """A hyperparameter that needs another is said to matter without it."""
    if isinstance(place.node, ast.keyword) and place.node.arg == "matters_with" and place.inside == "":
        yield Change(*source.span(place.node.value), "()")


def conditions(place: Place, source: Source) -> Iterator[Change]:
    """A condition that always holds, and one that never does: a flag ignored."""
    if isinstance(place.node, ast.If | ast.IfExp):
        yield Change(*source.span(place.node.test), "True")
    if isinstance(place.node, ast.If | ast.IfExp | ast.While):
        yield Change(*source.span(place.node.test), "False")


def steps(place: Place, source: Source) -> Iterator[Change]:
    """The step number is one behind, or one ahead."""
    if isinstance(place.node, ast.Name) and place.node.id == "t" and isinstance(place.node.ctx, ast.Load):
        yield Change(*source.span(place.node), "(t - 1)")
        yield Change(*source.span(place.node), "(t + 1)")


def states(place: Place, source: Source) -> Iterator[Change]:
    """An entry of the state starts one higher, or is not kept."""
    node = place.node
    if place.inside == "start" and isinstance(node, ast.DictComp):
        words = [part.value for part in ast.walk(node.generators[0].iter) if isinstance(part, ast.Constant)]
        for letter in dict.fromkeys(letter for word in words if isinstance(word, str) for letter in word):
            higher = f"({source.of(node.value)}) + ({source.of(node.key)} == {letter!r}) * 1.0"
            yield Change(*source.span(node.value), higher)
    if isinstance(node, ast.Dict) and place.inside in ("start", "update"):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                old = f"state[{source.of(key)}]"
                yield Change(*source.span(value), old if place.inside == "update" else f"{source.of(value)} + 1.0")


def stale(place: Place, source: Source) -> Iterator[Change]:
    """In an update the state of the step before, or the gradient as it came, is taken for the new one."""
    node = place.node
    if place.inside == "update" and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if f'state["{node.id}"]' in source.text and not isinstance(place.parent, ast.Dict):
            yield Change(*source.span(node), f'state["{node.id}"]')
        if node.id == "g":
            yield Change(*source.span(node), "gradient")


def left_out(place: Place, source: Source) -> Iterator[Change]:
    """A statement is forgotten, if what follows has its names without it."""
    node, parent = place.node, place.parent
    alone = isinstance(parent, ast.If) and parent.body == [node] and not parent.orelse  # then it is a condition forced
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if not alone and (call or isinstance(node, ast.Raise | ast.AugAssign | ast.Delete) or _rebinds(place)):
        yield Change(*source.span(node), "pass")


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
    imports,
)


def _exchanged(one: Any, other: Any, source: Source) -> Change:
    (begin, gap), (gap_end, end) = source.span(one), source.span(other)
    return Change(begin, end, source.of(other) + source.text[gap:gap_end] + source.of(one))


def _rebinds(place: Place) -> bool:
    """Whether an assignment changes what has a value already: an attribute, an item, or a name bound above it."""
    node, function = place.node, place.function
    if not isinstance(node, ast.Assign) or function is None:
        return False
    if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
        return True
    above = [part for part in ast.walk(function) if isinstance(part, ast.Name) and part.lineno < node.lineno]
    bound = {part.id for part in above if isinstance(part.ctx, ast.Store)}
    bound |= {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    return {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)} <= bound
