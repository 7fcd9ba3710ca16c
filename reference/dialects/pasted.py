"""Calls as people paste them: one parser for every command and function that takes a call as text.

Read are a dialect's call, ``keras:Adam(learning_rate=1e-3)``, and lines of scripts::

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")

Nothing is executed: the text is parsed, and what only a running program knows is a ``Variable``.
"""

import ast
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from samestep.reference.parts import Schedule
from samestep.reference.rule import Rule

from . import keras_versions, names_alone
from .beside import Beside, read_beside
from .binding import bind, value_of
from .call import Call
from .known import DIALECTS, OTHER_NAMES, find, unknown
from .libraries import Place, canonical, locate
from .script import EXAMPLE, cleaned, parsed
from .values import Names, Variable

PLAIN_NAME = re.compile(r"[A-Za-z_][\w.]*(\[['\"]?\w+['\"]?\])*")
PREFIX = re.compile(r"([A-Za-z_][\w. ]*?)\s*:\s*(?=[\w'\"])(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class PastedCall:
    """A call as it was read.

    ``arguments`` maps the native's arguments to plain values, to a ``Schedule`` or, where the text
    does not say the value, to a ``Variable``. ``assumptions`` are sentences on what was taken for
    granted. ``beside`` are PyTorch's calls of clipping, schedulers and averages in the same text.
    """

    dialect: str
    name: str
    arguments: Mapping[str, Any]
    assumptions: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Sentences on what the script has beside the optimizer, which no rule contains."""
        return tuple(
            f"{call.source} stands beside the optimizer, and is left out" for call in self.beside
        )

    @property
    def variables(self) -> dict[str, str]:
        """The arguments whose values the text does not say, with what stands in their place."""
        return {
            name: value.source
            for name, value in self.arguments.items()
            if isinstance(value, Variable)
        }

    @property
    def title(self) -> str:
        """The optimizer's name in messages."""
        return find(self.dialect).title(self.name)

    def require_values(self) -> None:
        """ValueError for a variable, which names it, and for a schedule."""
        for name, source in self.variables.items():
            several = name.startswith("*")
            argument = name if several else f"{name}={source}"
            advice = (
                "its arguments one by one"
                if several
                else f"the value in its place{let_advice(source)}"
            )
            raise ValueError(
                f"{argument} of {self.title} is a variable, and the text does not say its value; "
                f"write {advice}"
            )
        for name, value in self.arguments.items():
            if isinstance(value, Schedule):
                raise ValueError(
                    f"{name} of {self.title} is a schedule, {value!r}, and a rule has one learning "
                    f"rate; write {name}={value.rate(1)!r}, its first rate, and hold the schedules "
                    "against each other by samestep translate"
                )

    @property
    def text(self) -> str:
        """The call as a dialect has it, ``keras:Adam(learning_rate=0.001)``."""
        return f"{self.dialect}:{Call(self.name, dict(self.arguments))}"

    def rule(self) -> Rule:
        """The rule that the call means.

        ValueError for what ``require_values`` refuses and for any mistake in the call;
        Inexpressible if no rule describes it.
        """
        self.require_values()
        return find(self.dialect).read(self.name, **self.arguments)

    def replace(self, **changes: Any) -> "PastedCall":
        """The same call with other fields."""
        return dataclasses.replace(self, **changes)


def read_call(text: str) -> PastedCall:
    """The call of an optimizer in a text.

    ValueError names the word that is the trouble: there is no optimizer in the text or more than
    one, it is in no library that is read, is given an argument twice, and so on.
    """
    plain = cleaned(text)
    if prefixed := _prefixed(plain):
        return _in_dialect(*prefixed)
    try:
        return _Script(parsed(plain)).call()
    except RecursionError as error:
        raise ValueError(f"{EXAMPLE}, got an expression that is nested too deeply") from error


def parse(text: str) -> tuple[str, str, dict[str, Any]]:
    """Split a call as text, ``"keras:Adam(learning_rate=1e-3)"``, into dialect, name and arguments.

    Nothing is executed. ValueError for a text without a call, and for a call with a variable.
    """
    call = read_call(text)
    call.require_values()
    return call.dialect, call.name, dict(call.arguments)


def let_advice(source: str) -> str:
    """How the command line gives a variable its value, for one that has a plain name."""
    if not PLAIN_NAME.fullmatch(source):
        return ""
    return f", or on the command line add --let {source}=VALUE"


def in_one_line(text: str, call: PastedCall) -> str:
    """The text if it is a dialect's call in one line, and otherwise the call in such a line."""
    dialect = text.partition(":")[0]
    return text.strip() if dialect in DIALECTS and len(text.splitlines()) == 1 else call.text


def is_misspelled(name: str) -> bool:
    """True for a name that can only be meant to be a dialect's: ``torch``, ``Keras``."""
    plain = name.lower()
    return name not in DIALECTS and (plain in DIALECTS or plain in OTHER_NAMES)


def _prefixed(text: str) -> tuple[str, str] | None:
    """The dialect and the rest of ``dialect:rest``; None for a text without a dialect."""
    match = PREFIX.match(text)
    if not match or match[1].split(" ")[0] in ("lambda", "def", "class", "if", "for", "with"):
        return None
    name, rest = match[1].strip(), match[2]
    if name in DIALECTS:
        return name, rest
    if _is_annotated(text):
        return None
    raise unknown(name)


def _is_annotated(text: str) -> bool:
    """True for ``name: type = value``."""
    try:
        first = ast.parse(text).body[0]
    except (SyntaxError, ValueError):
        return False
    return isinstance(first, ast.AnnAssign) and first.value is not None


def _in_dialect(dialect: str, text: str) -> PastedCall:
    """The call of ``dialect:text``."""
    script = _Script(parsed(text, f"{dialect}:"))
    if len(script.expressions) != 1 or len(script.tree.body) > 1:
        raise ValueError(f"{EXAMPLE}, got {text!r}")
    (expression,) = script.expressions
    function = expression.func if isinstance(expression, ast.Call) else expression
    if isinstance(function, ast.Constant) and dialect == "keras":
        name = str(function.value)
    elif isinstance(function, ast.Name):
        name = function.id
    else:
        return _checked_dialect(dialect, script.call())
    if dialect == "keras" and not isinstance(expression, ast.Call):
        name = names_alone.of_keras(name) or name
    place = Place(dialect, name)
    call = script.pasted(place, expression)
    if dialect == "tf_keras":
        call = call.replace(assumptions=(*call.assumptions, keras_versions.LEGACY))
    return call


def _checked_dialect(dialect: str, call: PastedCall) -> PastedCall:
    if call.dialect != dialect:
        raise ValueError(f"{call.title} is of {call.dialect}:, and the text begins with {dialect}:")
    return call


class _Script:
    """The statements of a pasted text, and the optimizers among them."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.expressions: list[ast.expr] = []
        paths: dict[str, str] = {}
        assigned: dict[str, Any] = {}
        self._nodes: dict[str, ast.expr] = {}
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        for statement in sorted(statements, key=lambda node: (node.lineno, node.col_offset)):
            paths.update(_imports(statement))
            value = getattr(statement, "value", None)
            if value is None or isinstance(statement, ast.AugAssign):
                continue
            self.expressions.append(value)
            for target in _targets(statement):
                self._nodes[target] = value
        self.names = Names(paths, assigned)
        steady = _steady_names(tree)
        for target, node in self._nodes.items():
            if target in steady:
                self._assign(target, node, assigned)

    def _assign(self, target: str, node: ast.expr, assigned: dict[str, Any]) -> None:
        """Remember the value of a statement, if the text says it."""
        with contextlib.suppress(ValueError):
            value = value_of(node, self.names)
            if not isinstance(value, Variable):
                assigned[target] = value

    def call(self) -> PastedCall:
        """The one optimizer of the text."""
        calls: list[PastedCall] = []
        errors: list[ValueError] = []
        beside: list[Beside] = []
        for expression in self.expressions:
            for node in self._candidates(expression):
                try:
                    place = self._place(node)
                except ValueError as error:
                    errors.append(error)
                    if call_beside := read_beside(node, self.names):
                        beside.append(call_beside)
                    continue
                calls.append(self.pasted(place, node, self._assumed(place, node)))
        if len(calls) == 1:
            return calls[0].replace(beside=tuple(beside))
        if len(calls) > 1:
            names = " and ".join(call.title for call in calls)
            raise ValueError(f"the text must have one optimizer, got {len(calls)}: {names}")
        if errors:
            raise errors[-1]
        raise ValueError(f"{EXAMPLE}, got {ast.unparse(self.tree)!r}, which has no optimizer")

    def pasted(self, place: Place, node: ast.expr, assumptions: tuple[str, ...] = ()) -> PastedCall:
        """The call of the optimizer at a place, a call or a name alone."""
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        keywords = [keyword.arg for keyword in call.keywords if keyword.arg]
        library = keras_versions.library_of(place, keywords)
        values = bind(library, place.name, call, self.names)
        version = keras_versions.decide(place, library, values)
        return PastedCall(
            version.dialect, place.name, version.arguments, (*assumptions, *version.assumptions)
        )

    def _candidates(self, node: ast.expr) -> Iterator[ast.expr]:
        """What may be an optimizer in the value of a statement."""
        match node:
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for element in elements:
                    yield from self._candidates(element)
            case ast.Dict(values=values):
                for value in values:
                    yield from self._candidates(value)
            case ast.Lambda(body=body):
                yield from self._candidates(body)
            case ast.Call(func=ast.Attribute(attr="compile") | ast.Name(id="compile")):
                yield from self._compiled(node)
            case ast.Call(func=ast.Attribute(value=ast.Call() as inner)):
                yield inner  # AdamOptimizer(1e-4).minimize(loss)
            case ast.Call(func=function, args=[argument]) if self._gets(function):
                yield argument
            case ast.Call():
                yield node
            case ast.Constant(value=str()) | ast.Name() | ast.Attribute():
                yield node

    def _gets(self, function: ast.expr) -> bool:
        """True for ``keras.optimizers.get``."""
        return canonical(self.names.path(function)).endswith("keras.optimizers.get")

    def _compiled(self, call: ast.Call) -> Iterator[ast.expr]:
        """The optimizer of ``model.compile(...)``."""
        given = [keyword.value for keyword in call.keywords if keyword.arg == "optimizer"]
        for node in given or call.args[:1]:
            source = ast.unparse(node)
            if source in self._nodes:
                return  # it was assigned before, and is read there
            yield node

    def _assumed(self, place: Place, node: ast.expr) -> tuple[str, ...]:
        """What is assumed of a name without its library."""
        if isinstance(node, ast.Call):
            path = self.names.path(node.func)
            read_as = f"{place.library}:{path}"
            return () if "." in path else (f"{path} without its library is read as {read_as}",)
        name = node.value if isinstance(node, ast.Constant) else self.names.path(node)
        if "." in str(name):
            return ()
        return (f"{name!r} is read as model.compile takes it: keras:{place.name}()",)

    def _place(self, node: ast.expr) -> Place:
        """Where the optimizer is that an expression makes; ValueError if it makes none."""
        if isinstance(node, ast.Constant):
            return _by_name_alone(str(node.value))
        function = node.func if isinstance(node, ast.Call) else node
        path = self.names.path(function)
        if not path:
            raise ValueError(f"{EXAMPLE}, got {ast.unparse(node)!r}")
        place = locate(path)
        if place is not None:
            return place
        if isinstance(node, ast.Call):
            return names_alone.choose(path, node)
        if path != path.lower():
            raise names_alone.unclear(path)
        return _by_name_alone(path)


def _by_name_alone(name: str) -> Place:
    """The optimizer that model.compile takes under this name."""
    native = names_alone.of_keras(name)
    if native is None:
        raise names_alone.unclear(name)
    return Place("keras", native)


def _steady_names(tree: ast.Module) -> set[str]:
    """What is assigned once, before any other use, and whatever the program does."""
    counts: dict[str, int] = {}
    uncertain: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.AugAssign):
            inside = [each for each in ast.walk(node) if isinstance(each, ast.stmt)]
            for statement in inside:
                uncertain.update(_targets(statement))
        if isinstance(node, ast.AugAssign | ast.For):
            uncertain.add(ast.unparse(node.target))
        for target in _targets(node) if isinstance(node, ast.stmt) else ():
            counts[target] = counts.get(target, 0) + 1
    steady = {target for target, count in counts.items() if count == 1}
    return steady - uncertain - _used_before(tree)


def _used_before(tree: ast.Module) -> set[str]:
    """The names that are read in a line before the one that assigns them."""
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        for target in _targets(node) if isinstance(node, ast.stmt) else ():
            lines[target] = getattr(node, "lineno", 0)
    early: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            source = ast.unparse(node)
            if node.lineno < lines.get(source, 0):
                early.add(source)
    return early


def _imports(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, and its dotted path."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            first = alias.name.partition(".")[0]
            yield alias.asname or first, alias.name if alias.asname else first
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        for alias in statement.names:
            yield alias.asname or alias.name, f"{statement.module}.{alias.name}"


def _targets(statement: ast.stmt) -> list[str]:
    """What a statement assigns to, as text."""
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets]
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    return []
