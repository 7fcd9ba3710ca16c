"""Calls of optimizers, the meanings of their arguments, and the error for what has no call."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from samestep.reference.near_miss import did_you_mean
from samestep.reference.rule import Rule


class Inexpressible(ValueError):
    """A dialect has no call for a rule, or no rule describes a call.

    ``what`` cannot be expressed, ``why`` is the reason, ``instead`` is what to use. ``size`` says
    how far the nearest call is, or is empty. ``each_step`` is code that makes the nearest call
    exact when it runs before each step ``t`` = 1, 2, ...; it is empty if there is none.
    """

    def __init__(
        self, what: str, why: str, instead: str, size: str = "", each_step: str = ""
    ) -> None:
        self.what = what
        self.why = why
        self.instead = instead
        self.size = size
        self.each_step = each_step
        distance = f" How far the nearest call is: {size}." if size else ""
        setting = f"; or before step t = 1, 2, ...: {each_step}" if each_step else ""
        super().__init__(f"{what}: {why}.{distance} Instead: {instead}{setting}.")


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a native optimizer: its name and its keyword arguments.

    ``condition`` says when the call means the rule, or is empty if it always does. ``each_step`` is
    code that makes the call exact without the condition, run before each step but the first.
    """

    name: str
    arguments: dict[str, Any]
    condition: str = ""
    each_step: str = ""

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        text = f"{self.name}({arguments})"
        if not self.condition:
            return text
        otherwise = f"; otherwise before each step: {self.each_step}" if self.each_step else ""
        return f"{text}  # {self.condition}{otherwise}"


@dataclasses.dataclass(frozen=True)
class Native:
    """How the arguments of a framework's own optimizer map to the fields of a rule.

    ``arguments`` maps each argument that sets a hyperparameter to the rule's field. ``defaults``
    are the framework's; an argument without one must be given. ``fixed`` holds the fields that the
    framework decides. ``state`` maps the rule's state names to the framework's. ``literals`` holds,
    for each argument with values of its own such as None or "standard", what each of them means.
    """

    rule: type[Rule]
    arguments: Mapping[str, str]
    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any]
    state: Mapping[str, str]
    literals: Mapping[str, Mapping[Any, Any]] = dataclasses.field(default_factory=dict)

    @property
    def required(self) -> list[str]:
        """The arguments that must be given."""
        return [argument for argument in self.arguments if argument not in self.defaults]

    def complete(
        self, title: str, arguments: Mapping[str, Any], others: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The call's arguments that set hyperparameters, with the framework's defaults filled in.

        ``others`` are further arguments that the call may have; they are left out of the result.
        ValueError for an unknown argument and for one that is missing; ``title`` names the
        optimizer.
        """
        known = [*self.arguments, *others]
        for name in arguments:
            if name not in known:
                advice = did_you_mean(name, known)
                raise ValueError(
                    f"{title} has no argument {name!r}; it takes: {', '.join(known)}{advice}"
                )
        if missing := [name for name in self.required if name not in arguments]:
            raise ValueError(f"{title} must be given {', '.join(missing)}")
        given = {name: value for name, value in arguments.items() if name in self.arguments}
        return {**self.defaults, **given}

    def fields(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the rule that a complete call means, with those that are fixed."""
        meanings = {
            self.arguments[name]: self._meaning(name, value) for name, value in arguments.items()
        }
        return {**self.fixed, **meanings}

    def differences(self, rule: Rule) -> list[str]:
        """The fields of the rule that this native decides otherwise or has no argument for."""
        defaults = {field.name: field.default for field in dataclasses.fields(self.rule)}
        decided = {**defaults, **self.fixed}
        for field in self.arguments.values():
            decided.pop(field, None)
        active = [name for name in decided if rule.is_active(name)]
        return [name for name in active if getattr(rule, name) != decided[name]]

    def literal(self, argument: str, value: Any) -> Any:
        """What to write for the argument so that its field has this value."""
        for literal, meaning in self.literals.get(argument, {}).items():
            if meaning == value:
                return literal
        return value

    def spell(self, rule: Rule) -> dict[str, Any]:
        """The arguments that differ from the framework's defaults, and always the learning rate."""
        arguments = {}
        for argument, field in self.arguments.items():
            value = self.literal(argument, getattr(rule, field))
            default = argument in self.defaults and value == self.defaults[argument]
            if field == "lr" or not default:
                arguments[argument] = value
        return arguments

    def _meaning(self, argument: str, value: Any) -> Any:
        """The value of the field if the argument has this value."""
        for literal, meaning in self.literals.get(argument, {}).items():
            if literal == value:
                return meaning
        return value
