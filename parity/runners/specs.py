"""Which optimizer is meant, read from a line of text.

::

    Adam(lr=0.001, epsilon_at=Epsilon.HAT)           a rule, as its repr has it, in NumPy
    keras:Adam(learning_rate=0.001)                  a dialect's call: the rule it means, in NumPy
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

from . import LIBRARIES, missing_package, runner_of

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
    ``mode`` the implementation or mode in which it runs.
    """

    text: str
    kind: Kind
    home: str
    mode: str = ""
    rule: Rule | None = None
    call: Call | None = None

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
    if "(" in text:
        return OptimizerSpec(text, Kind.RULE, "numpy", rule=rule(text))
    if FACTORY.fullmatch(text):
        return OptimizerSpec(text, Kind.FACTORY, "")
    raise ValueError(f"an optimizer must be {FORMS}, got {text!r}")


def rule(text: str) -> Rule:
    """The rule that a rule's repr or a dialect's call means.

    ValueError says what is wrong with the text. Nothing in it is executed.
    """
    if ":" in text.partition("(")[0]:
        return dialects.read(text)
    advice = f"a rule must read like Adam(lr=0.001, epsilon_at=Epsilon.HAT), got {text!r}"
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            raise ValueError(advice)
        name = tree.func.id
        arguments = {str(keyword.arg): _value(keyword.value) for keyword in tree.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(advice) from error
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r}; there are: {', '.join(RULES)}")
    fields = RULES[name].names()
    if unknown := set(arguments) - set(fields):
        raise ValueError(
            f"{name} has no {', '.join(sorted(unknown))}; it takes: {', '.join(fields)}"
        )
    return RULES[name](**arguments)


def _value(node: ast.expr) -> Any:
    """A literal, or the name of a member such as Epsilon.HAT, which the rule checks."""
    match node:
        case ast.Attribute(value=ast.Name(id=choice), attr=member) if choice in CHOICES:
            return member
    return ast.literal_eval(node)


def _native(text: str, rest: str) -> OptimizerSpec:
    head, parenthesis, arguments_text = rest.partition("(")
    dialect, *given_modes, name = head.split(":")
    if dialect not in LIBRARIES or len(given_modes) > 1 or not parenthesis:
        raise ValueError(
            "a native must read like native:keras:Adam(), its dialect one of "
            f"{', '.join(LIBRARIES)}, got {text!r}"
        )
    if package := missing_package(dialect):
        raise ValueError(
            f"{text} needs {package}, which is not installed; install it, or compare the "
            f"call {rest}"
        )
    call_text = f"{dialect}:{name}({arguments_text}"
    _, name, arguments = dialects.parse(call_text)
    modes = runner_of(dialect).modes(name)
    mode = given_modes[0] if given_modes else modes[0]
    if mode not in modes:
        raise ValueError(
            f"the mode of native:{dialect} must be one of {', '.join(modes)}, got {mode!r}"
        )
    call = Call(name, arguments)
    return OptimizerSpec(text, Kind.NATIVE, dialect, mode, _rule_of_call(call_text), call)


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
