"""What may be compared, read from a line of text.

::

    Adam(lr=0.001, epsilon_at=Epsilon.HAT)            a rule, as its repr says it, in NumPy
    keras:Adam(learning_rate=0.001)                   a dialect's call: the rule that it means, in NumPy
    adapter:pytorch:keras:Adam(learning_rate=0.001)   either of the two, in a framework, as its optimizer
    native:keras:Adam(learning_rate=0.001)            the live optimizer; native:keras:xla:Adam(...) in another mode
    my_module:factory                                 yours: given a list of parameters, a torch.optim.Optimizer;
                                                      or given nothing, a keras.optimizers.Optimizer
"""

import ast
import dataclasses
import re
from typing import Any

from samestep import reference
from samestep.reference import Rule, dialects
from samestep.reference.dialects import Call

from . import LIBRARIES, missing_package, runner_of

RULES = {rule.__name__: rule for rule in reference.RULES}
WORDS = {
    kind.__name__: kind
    for kind in (reference.Buffer, reference.Decay, reference.Epsilon, reference.SizeMeasuredAt)
}
# frameworks and their modes
ADAPTERS = {"pytorch": ("eager",), "tensorflow": ("eager", "graph", "xla")}
FORMS = "a rule, a dialect's call, adapter:FRAMEWORK:CALL, native:DIALECT:CALL, or module:factory"
FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One of the two. ``kind`` is rule, adapter, native or factory.

    ``home`` is a framework, for natives a dialect, for factories empty: only calling them tells.
    ``rule`` is what it means to follow, or None where no text tells.
    """

    text: str
    kind: str
    home: str
    mode: str = ""
    rule: Rule | None = None
    call: Call | None = None

    @property
    def dialect(self) -> str:
        """The dialect that its text is written in, or that its framework's users write."""
        spoken = self.text.split(":")[0]
        if spoken in dialects.DIALECTS:
            return spoken
        return {"tensorflow": "keras", "numpy": ""}.get(self.home, self.home)


def read(text: str) -> Contestant:
    """The contestant that the text means; ValueError says what is wrong with it."""
    text = text.strip()
    kind, _, rest = text.partition(":")
    if kind == "native":
        return _native(text, rest)
    if kind == "adapter":
        return _adapter(text, rest)
    if "(" in text:
        return Contestant(text, "rule", "numpy", rule=rule(text))
    if FACTORY.fullmatch(text):
        return Contestant(text, "factory", "")
    raise ValueError(f"a contestant must be {FORMS}, got {text!r}")


def rule(text: str) -> Rule:
    """The rule that a rule's repr or a dialect's call means; ValueError says what is wrong with
    it.
    """
    if ":" in text.partition("(")[0]:
        return dialects.read(text)
    advice = f"a rule must read like Adam(lr=0.001, epsilon_at=Epsilon.HAT), got {text!r}"
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            raise ValueError(advice)
        name, given = tree.func.id, {str(k.arg): _value(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(advice) from error
    if name not in RULES:
        raise ValueError(f"there is no rule {name!r}; there are: {', '.join(RULES)}")
    if unknown := set(given) - set(RULES[name].names()):
        raise ValueError(
            f"{name} has no {', '.join(sorted(unknown))}; it takes: "
            f"{', '.join(RULES[name].names())}"
        )
    return RULES[name](**given)


def _value(node: ast.expr) -> Any:
    """A literal, or a word such as Epsilon.HAT."""
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in WORDS
    ):
        return node.attr  # rules take the word alone, and check it
    return ast.literal_eval(node)


def _native(text: str, rest: str) -> Contestant:
    head, parenthesis, arguments = rest.partition("(")
    dialect, *mode, name = head.split(":")
    if dialect not in LIBRARIES or len(mode) > 1 or not parenthesis:
        spoken = ", ".join(LIBRARIES)
        raise ValueError(
            f"a native must read like native:keras:Adam(), its dialect one of {spoken}, "
            f"got {text!r}"
        )
    if package := missing_package(dialect):
        raise ValueError(
            f"{text} needs {package}, which is not installed; install it, or compare the "
            f"call {rest}"
        )
    call = f"{dialect}:{name}({arguments}"
    _, name, given = dialects.parse(call)
    modes = runner_of(dialect).modes(name)
    if mode and mode[0] not in modes:
        raise ValueError(
            f"the mode of native:{dialect} must be one of {', '.join(modes)}, got {mode[0]!r}"
        )
    return Contestant(
        text, "native", dialect, mode[0] if mode else modes[0], _meant(call), Call(name, given)
    )


def _meant(call: str) -> Rule | None:
    """The rule that a native follows; None where something around it, such as clipping, is switched
    on.
    """
    try:
        return dialects.read(call)
    except dialects.Inexpressible:
        return None


def _adapter(text: str, rest: str) -> Contestant:
    framework, _, call = rest.partition(":")
    mode, _, after = call.partition(":")
    if framework not in ADAPTERS or not call:
        found = ", ".join(ADAPTERS)
        raise ValueError(
            "an adapter must read like adapter:pytorch:Adam(), its framework one of "
            f"{found}, got {text!r}"
        )
    if mode not in ADAPTERS[framework]:
        mode, after = ADAPTERS[framework][0], call
    return Contestant(text, "adapter", framework, mode, rule(after))
