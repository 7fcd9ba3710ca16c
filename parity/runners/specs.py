"""Which optimizer is meant, read from a line of text.

::

    Adam(lr=0.001, epsilon_at=Epsilon.HAT)           a rule, as its repr has it, in NumPy
    keras:Adam(learning_rate=0.001)                  a dialect's call: the rule it means, in NumPy
    torch.optim.Adam(params, lr=0.001)               the same, as a script has it
    adapter:pytorch:keras:Adam(learning_rate=0.001)  either of the two, in our optimizer of PyTorch
    native:keras:Adam(learning_rate=0.001)           the framework's own optimizer;
                                                     native:keras:xla:Adam(...) in another mode
    my_module:factory                                yours: given a list of parameters, it returns a
                                                     torch.optim.Optimizer; or given nothing, a
                                                     keras.optimizers.Optimizer
"""

import ast
import dataclasses
import enum
import re
from typing import Any

from samestep import reference
from samestep.reference import Rule, dialects
from samestep.reference.dialects import Call

from . import LIBRARIES, missing_package

RULES = {rule.__name__: rule for rule in reference.RULES}
CHOICES = {  # the classes whose members may be named in a rule, such as Epsilon.HAT
    kind.__name__
    for kind in (
        reference.Buffer,
        reference.Decay,
        reference.Epsilon,
        reference.ShapeScale,
        reference.SizeMeasuredAt,
    )
}
ADAPTER_MODES = {"pytorch": ("eager",), "tensorflow": ("eager", "graph", "xla")}  # by framework
FORMS = "a rule, a dialect's call, adapter:FRAMEWORK:CALL, native:DIALECT:CALL, or module:factory"
FILE = re.compile(r"((?:.*[/\\])?([A-Za-z_]\w*)\.py):(\w+)")
FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Kind(enum.StrEnum):
    """What an optimizer is."""

    RULE = "rule"
    ADAPTER = "adapter"
    NATIVE = "native"
    FACTORY = "factory"


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as a line of text describes it.

    ``home`` is its framework, for natives the dialect; empty for a factory, until it is called.
    ``rule`` is the rule that the text means, None if it does not say. ``call`` is a native's call,
    ``mode`` the implementation or mode in which it runs. ``assumptions`` are sentences on what was
    taken for granted when the text was read.
    """

    text: str
    kind: Kind
    home: str
    mode: str = ""
    rule: Rule | None = None
    call: Call | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def dialect(self) -> str:
        """The dialect that the text is written in, or that users of its framework write."""
        prefix = self.text.split(":")[0]
        if prefix in dialects.DIALECTS:
            return prefix
        return {"tensorflow": "keras", "numpy": ""}.get(self.home, self.home)


def read(text: str) -> OptimizerSpec:
    """The optimizer that the text means; ValueError says what is wrong with it."""
    text = text.strip()
    prefix, _, rest = text.partition(":")
    if prefix == Kind.NATIVE:
        return _native(text, rest)
    if prefix == Kind.ADAPTER:
        return _adapter(text, rest)
    file = FILE.fullmatch(text)
    if FACTORY.fullmatch(text) and not file and prefix not in dialects.DIALECTS:
        if dialects.is_misspelled(prefix):
            raise dialects.unknown(prefix)
        return OptimizerSpec(text, Kind.FACTORY, "")
    if not text:
        raise ValueError(f"an optimizer must be {FORMS}, got an empty text")
    if file:
        raise ValueError(
            f"a factory must be named by its module, got the file {file[1]}; in the file's folder "
            f"write {file[2]}:{file[3]}"
        )
    if (meaning := _rule_of_repr(text)) is not None:
        return OptimizerSpec(text, Kind.RULE, "numpy", rule=meaning)
    call = read_call(text)
    return OptimizerSpec(
        dialects.in_one_line(text, call),
        Kind.RULE,
        "numpy",
        rule=call.rule(),
        assumptions=(*call.assumptions, *call.left_out),
    )


def rule(text: str) -> Rule:
    """The rule that a rule's repr or a call means, in a dialect or as a script has it.

    ValueError says what is wrong with the text. Nothing in it is executed.
    """
    meaning = _rule_of_repr(text)
    return read_call(text).rule() if meaning is None else meaning


def read_call(text: str) -> dialects.PastedCall:
    """The call of an optimizer; the error is about rules where the text looks like one."""
    try:
        return dialects.read_call(text)
    except dialects.Inexpressible:
        raise
    except ValueError:
        call = _plain_call(text)
        if call is None:
            raise
        raise _no_rule(*call) from None


def _rule_of_repr(text: str) -> Rule | None:
    """The rule whose repr the text is; None if it is not a rule's name with fields of that rule."""
    call = _plain_call(text)
    if call is None or call[0] not in RULES or not set(call[1]) <= set(RULES[call[0]].names()):
        return None
    name, keywords = call
    return RULES[name](**{argument: _value(argument, node) for argument, node in keywords.items()})


def _plain_call(text: str) -> tuple[str, dict[str, ast.expr]] | None:
    """Name and arguments of ``Name(argument=...)``; None for any other text.

    ValueError for an argument that is given twice.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        return None
    keywords: dict[str, ast.expr] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            return None
        if keyword.arg in keywords:
            raise ValueError(f"{tree.func.id} must be given {keyword.arg} once, got {text!r}")
        keywords[keyword.arg] = keyword.value
    return tree.func.id, keywords


def _no_rule(name: str, keywords: dict[str, ast.expr]) -> ValueError:
    """The error for a text that looks like a rule's repr, and is none."""
    if name not in RULES:
        advice = dialects.did_you_mean(name, RULES)
        return ValueError(f"there is no rule {name!r}; there are: {', '.join(RULES)}{advice}")
    fields = RULES[name].names()
    unknown = [argument for argument in keywords if argument not in fields]
    advice = dialects.did_you_mean(unknown[0], fields)
    return ValueError(
        f"{name} has no {', '.join(sorted(unknown))}; it takes: {', '.join(fields)}{advice}"
    )


def _value(argument: str, node: ast.expr) -> Any:
    """A number, a flag, or the name of a member such as Epsilon.HAT, which the rule checks."""
    match node:
        case ast.Attribute(value=ast.Name(id=choice), attr=member) if choice in CHOICES:
            return member
    value = dialects.evaluate(node)
    if isinstance(value, dialects.Variable):
        raise ValueError(
            f"{argument}={value} is a variable, and the text does not say its value; write the "
            f"value in its place{dialects.let_advice(str(value))}"
        )
    return value


def _native(text: str, rest: str) -> OptimizerSpec:
    dialect, given_mode, call_text = _parts_of_native(text, rest)
    if dialects.is_misspelled(dialect):
        raise dialects.unknown(dialect)
    if dialect not in LIBRARIES:
        raise ValueError(
            "a native must read like native:keras:Adam(), its dialect one of "
            f"{', '.join(LIBRARIES)}, got {text!r}"
        )
    if package := missing_package(dialect):
        raise ValueError(
            f"{text} needs {package}, which is not installed; install it, or compare the "
            f"call {rest}"
        )
    _, name, arguments = dialects.parse(call_text)
    meaning = _rule_of_call(call_text)
    modes = LIBRARIES[dialect].modes(name)
    mode = given_mode or modes[0]
    if mode not in modes:
        raise ValueError(
            f"the mode of native:{dialect} must be one of {', '.join(modes)}, got {mode!r}"
        )
    call = Call(name, arguments)
    return OptimizerSpec(text, Kind.NATIVE, dialect, mode, meaning, call)


def _parts_of_native(text: str, rest: str) -> tuple[str, str, str]:
    """Dialect, mode or "", and the call of a native's text: ``keras:xla:Adam()`` or a script's."""
    head, parenthesis, arguments = rest.partition("(")
    match head.split(":"):
        case [dialect, name]:
            return dialect, "", f"{dialect}:{name}{parenthesis}{arguments}"
        case [dialect, mode, name]:
            return dialect, mode, f"{dialect}:{name}{parenthesis}{arguments}"
        case [path]:
            call = read_call(rest)
            if path.startswith("tf_keras") and call.dialect == "keras":
                raise ValueError(
                    f"{text}: of tf_keras' own optimizers the legacy ones can be run; write "
                    f"native:{call.text} for those of Keras 3, which take the same steps"
                )
            return call.dialect, "", call.text
    return "", "", rest


def _rule_of_call(call: str) -> Rule | None:
    """The rule that a native follows; None if it does more than that, such as clipping."""
    try:
        return dialects.read(call)
    except dialects.Inexpressible:
        return None


def _adapter(text: str, rest: str) -> OptimizerSpec:
    framework, _, after_framework = rest.partition(":")
    if framework not in ADAPTER_MODES or not after_framework:
        raise ValueError(
            "an adapter must read like adapter:pytorch:Adam(), its framework one of "
            f"{', '.join(ADAPTER_MODES)}, got {text!r}"
        )
    mode, _, call = after_framework.partition(":")
    if mode not in ADAPTER_MODES[framework]:
        mode = ADAPTER_MODES[framework][0]
        call = after_framework
    return OptimizerSpec(text, Kind.ADAPTER, framework, mode, rule(call))
