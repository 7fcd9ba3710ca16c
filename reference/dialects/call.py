"""What every dialect is made of: natives as tables, calls, and the error for what a dialect cannot say."""

import ast
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from samestep.reference.rule import Rule


class Inexpressible(ValueError):
    """A dialect has no words for a rule or a call. Says why, how far the nearest words are, what to use instead.

    ``each_step`` is code that makes the nearest call exact, run before step ``t`` = 1, 2, ...; empty if there is none.
    """

    def __init__(self, what: str, why: str, instead: str, size: str = "", each_step: str = "") -> None:
        self.what, self.why, self.instead, self.size, self.each_step = what, why, instead, size, each_step
        distance = f" How far the nearest call is: {size}." if size else ""
        setting = f"; or before step t = 1, 2, ...: {each_step}" if each_step else ""
        super().__init__(f"{what}: {why}.{distance} Instead: {instead}{setting}.")


@dataclasses.dataclass(frozen=True)
class Call:
    """A native call: the optimizer's name and its keyword arguments, and the condition under which it holds, if any.

    ``each_step`` is code that makes the call exact without the condition, run before each step but the first.
    """

    name: str
    arguments: dict[str, Any]
    condition: str = ""
    each_step: str = ""

    def __str__(self) -> str:
        text = f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"
        otherwise = f"; otherwise before each step: {self.each_step}" if self.each_step else ""
        return f"{text}  # {self.condition}{otherwise}" if self.condition else text


@dataclasses.dataclass(frozen=True)
class Native:
    """How a framework's own optimizer maps to a rule.

    ``arguments`` maps each argument that means a hyperparameter to the rule's field; ``fixed`` holds the fields that
    the framework decides for its user; ``defaults`` are the framework's, an argument without one must be given.
    ``state`` maps our state names to theirs. ``words`` holds, for arguments with words of their own, the value that
    each word means.
    """

    rule: type[Rule]
    arguments: Mapping[str, str]
    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any]
    state: Mapping[str, str]
    words: Mapping[str, Mapping[Any, Any]] = dataclasses.field(default_factory=dict)

    @property
    def required(self) -> list[str]:
        """The arguments that must be given."""
        return [argument for argument in self.arguments if argument not in self.defaults]

    def complete(self, title: str, arguments: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
        """The call's arguments with the framework's defaults filled in; ValueError names an unknown argument."""
        known = [*self.arguments, *others]
        for name in arguments:
            if name not in known:
                raise ValueError(f"{title} has no argument {name!r}; it takes: {', '.join(known)}")
        if missing := [name for name in self.required if name not in arguments]:
            raise ValueError(f"{title} must be given {', '.join(missing)}")
        return {**self.defaults, **{k: v for k, v in arguments.items() if k in self.arguments}}

    def fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a complete call's arguments mean, as fields of the rule, with what the framework decides."""
        meant = {
            name: next((meaning for word, meaning in self.words.get(name, {}).items() if word == value), value)
            for name, value in values.items()
        }
        return {**self.fixed, **{self.arguments[name]: value for name, value in meant.items()}}

    def differences(self, rule: Rule) -> list[str]:
        """The fields of the rule that this native decides otherwise or has no argument for."""
        ours = {**{f.name: f.default for f in dataclasses.fields(self.rule)}, **self.fixed}
        spoken = set(self.arguments.values())
        return [
            name for name, value in ours.items()
            if name not in spoken and rule.is_active(name) and getattr(rule, name) != value
        ]  # fmt: skip

    def word(self, argument: str, value: Any) -> Any:
        """What the argument is given to mean the value of its field."""
        return next((word for word, meant in self.words.get(argument, {}).items() if meant == value), value)

    def spell(self, rule: Rule) -> dict[str, Any]:
        """The arguments that differ from the framework's defaults, and always the learning rate."""
        said = {argument: getattr(rule, field) for argument, field in self.arguments.items()}
        said = {argument: self.word(argument, value) for argument, value in said.items()}
        return {
            k: v for k, v in said.items()
            if self.arguments[k] == "lr" or k not in self.defaults or v != self.defaults[k]
        }  # fmt: skip


def find(natives: Mapping[str, Native], name: str, prefix: str) -> Native:
    """The native of that name; ValueError lists the names there are."""
    if name not in natives:
        raise ValueError(f"{prefix} has no optimizer {name!r} here; there are: {', '.join(natives)}")
    return natives[name]


def saying(natives: Mapping[str, Native], rule: Rule) -> str | None:
    """The name of the first native that can say the rule, if one can."""
    able = (name for name, native in natives.items() if native.rule is type(rule) and not native.differences(rule))
    return next(able, None)


def names_of_states(natives: Mapping[str, Native], rule: Rule) -> dict[str, str]:
    """What the natives of a rule call each of its states; the first that has a name for one decides."""
    names: dict[str, str] = {}
    for native in natives.values():
        if native.rule is type(rule):
            names = {**native.state, **names}
    return names


def refused(title: str, arguments: Mapping[str, Any], around: Mapping[str, Any], instead: str) -> dict[str, Any]:
    """The arguments without those of ``around``; Inexpressible where one of them is not the value given there."""
    for name, nothing in around.items():
        if arguments.get(name, nothing) != nothing:
            raise Inexpressible(f"{name}={arguments[name]!r} of {title}", "no rule here has it", instead)
    return {name: value for name, value in arguments.items() if name not in around}


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
