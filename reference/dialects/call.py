"""What every dialect is made of: natives as tables, calls, and the error for what a dialect cannot say."""

import ast
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..rule import Rule


class Inexpressible(ValueError):
    """A dialect has no words for a rule or a call. Says why, how far the nearest words are, what to use instead."""

    def __init__(self, what: str, why: str, instead: str, size: str = "") -> None:
        self.what, self.why, self.instead, self.size = what, why, instead, size
        distance = f" How far the nearest call is: {size}." if size else ""
        super().__init__(f"{what}: {why}.{distance} Instead: {instead}.")


@dataclasses.dataclass(frozen=True)
class Call:
    """A native call: the optimizer's name and its keyword arguments, and the condition under which it holds, if any."""

    name: str
    arguments: dict[str, Any]
    condition: str = ""

    def __str__(self) -> str:
        text = f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"
        return f"{text}  # {self.condition}" if self.condition else text


@dataclasses.dataclass(frozen=True)
class Native:
    """How a framework's own optimizer maps to a rule.

    ``arguments`` maps each argument that means a hyperparameter to the rule's field; ``fixed`` holds the fields that
    the framework decides for its user; ``defaults`` are the framework's. ``state`` maps our state names to theirs.
    """

    rule: type[Rule]
    arguments: Mapping[str, str]
    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any]
    state: Mapping[str, str]

    def complete(self, title: str, arguments: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
        """The call's arguments with the framework's defaults filled in; ValueError names an unknown argument."""
        known = [*self.arguments, *others]
        for name in arguments:
            if name not in known:
                raise ValueError(f"{title} has no argument {name!r}; it takes: {', '.join(known)}")
        return {**self.defaults, **{k: v for k, v in arguments.items() if k in self.arguments}}

    def differences(self, rule: Rule) -> list[str]:
        """The fields of the rule that this native decides otherwise or has no argument for."""
        ours = {**{f.name: f.default for f in dataclasses.fields(self.rule)}, **self.fixed}
        spoken = set(self.arguments.values())
        return [
            name for name, value in ours.items()
            if name not in spoken and rule.matters(name) and getattr(rule, name) != value
        ]  # fmt: skip

    def spell(self, rule: Rule) -> dict[str, Any]:
        """The arguments that differ from the framework's defaults, and always the learning rate."""
        said = {argument: getattr(rule, field) for argument, field in self.arguments.items()}
        return {k: v for k, v in said.items() if self.arguments[k] == "lr" or v != self.defaults[k]}


class Refusal(NamedTuple):
    """Why a dialect cannot say the rules that it ``applies`` to, what to use instead, and how far the nearest call is.

    ``why`` and ``instead`` may name ``{name}``, the rule's class, its fields, and ``{ours}``, our adapter's call.
    """

    applies: Callable[[Any], Any]
    why: str
    instead: str = "{ours}"
    size: str = ""

    def of(self, rule: Rule, prefix: str, ours: str) -> Inexpressible:
        """The error for this rule."""
        words = {**rule.plain(), "name": type(rule).__name__, "ours": ours}
        return Inexpressible(f"{rule!r} in {prefix}", self.why.format(**words), self.instead.format(**words), self.size)


def refuse(refusals: Iterable[Refusal], rule: Rule, prefix: str, ours: str) -> Inexpressible:
    """The error of the first refusal that applies."""
    return next(refusal for refusal in refusals if refusal.applies(rule)).of(rule, prefix, ours)


def find(natives: Mapping[str, Native], name: str, prefix: str) -> Native:
    """The native of that name; ValueError lists the names there are."""
    if name not in natives:
        raise ValueError(f"{prefix} has no optimizer {name!r} here; there are: {', '.join(natives)}")
    return natives[name]


def parse(text: str) -> tuple[str, str, dict[str, Any]]:
    """Split a call as text, ``"keras:Adam(learning_rate=1e-3)"``, into dialect, name and arguments."""
    advice = f"a call must read like keras:Adam(learning_rate=0.001), with literal arguments, got {text!r}"
    dialect, colon, call = text.partition(":")
    try:
        tree = ast.parse(call.strip(), mode="eval").body
        if not colon or not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            raise ValueError(advice)
        return dialect.strip(), tree.func.id, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(advice) from error
