"""Calls of optimizers, the meanings of their arguments, and the error for what has no call."""

import dataclasses
import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from samestep.reference.near_miss import did_you_mean
from samestep.reference.rule import Rule

CONSTANT = "while the learning rate stays constant"  # the condition of some calls


@dataclasses.dataclass(frozen=True)
class Remedy:
    """What takes the steps of a rule, or of a call, that cannot be expressed.

    ``use`` is a call, ``"keras:SGD(learning_rate=0.1)"``, or words with a rule in them, such as our
    adapter. ``beside`` says what else acts, such as "and negate the loss". ``each_step`` is code
    that runs before each step ``t`` = 1, 2, ...; in it ``lr`` is the learning rate of the step, and
    ``lr_before`` that of the step before. ``condition`` says when the steps are the same; it is
    empty if they always are.
    """

    use: str
    beside: str = ""
    each_step: str = ""
    condition: str = ""

    def __str__(self) -> str:
        beside = f" {self.beside}" if self.beside else ""
        condition = f", {self.condition}" if self.condition else ""
        setting = f", before step t = 1, 2, ...: {self.each_step}" if self.each_step else ""
        return f"{self.use}{beside}{condition}{setting}"


class Inexpressible(ValueError):
    """A dialect has no call for a rule, or no rule describes a call.

    ``what`` cannot be expressed, ``why`` is the reason, ``remedies`` are what to use, given as
    ``instead``: remedies, or words for one of them. ``size`` says how far the nearest call is, or
    is empty.
    """

    def __init__(
        self, what: str, why: str, instead: str | Sequence[Remedy], size: str = ""
    ) -> None:
        self.what = what
        self.why = why
        self.remedies = (Remedy(instead),) if isinstance(instead, str) else tuple(instead)
        self.size = size
        distance = f" How far the nearest call is: {size}." if size else ""
        super().__init__(f"{what}: {why}.{distance} Instead: {self.instead}.")

    @property
    def instead(self) -> str:
        """All remedies as text."""
        return "; or ".join(str(remedy) for remedy in self.remedies)

    @property
    def paragraph(self) -> str:
        """The message with a line for the distance and one for each remedy."""
        distance = [f"How far the nearest call is: {self.size}."] if self.size else []
        first, *further = (str(remedy) for remedy in self.remedies)
        remedies = [f"Instead: {first}", *(f"or: {remedy}" for remedy in further)]
        return "\n  ".join([f"{self.what}: {self.why}.", *distance, *remedies])

    @property
    def each_step(self) -> str:
        """The code that alone makes a call exact; empty if no remedy is of this kind."""
        alone = [remedy for remedy in self.remedies if not (remedy.beside or remedy.condition)]
        return next((remedy.each_step for remedy in alone if remedy.each_step), "")


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


def require_known(title: str, names: Iterable[str], known: Collection[str]) -> None:
    """Check that an optimizer, which ``title`` names, has arguments of these names."""
    for name in names:
        if name not in known:
            takes = ", ".join(known)
            advice = did_you_mean(name, known)
            raise ValueError(f"{title} has no argument {name!r}; it takes: {takes}{advice}")


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
        require_known(title, arguments, [*self.arguments, *others])
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
        """The fields of the rule that this native decides otherwise or cannot be told."""
        defaults = {field.name: field.default for field in dataclasses.fields(self.rule)}
        decided = {**defaults, **self.fixed}
        for field in self.arguments.values():
            decided.pop(field, None)
        active = [name for name in decided if rule.is_active(name)]
        decided_otherwise = [name for name in active if getattr(rule, name) != decided[name]]
        return [*decided_otherwise, *self._unspoken(rule)]

    def _unspoken(self, rule: Rule) -> Iterator[str]:
        """The fields with a choice that no value of their argument means."""
        for argument, field in self.arguments.items():
            value = getattr(rule, field)
            meanings = self.literals.get(argument, {}).values()
            if isinstance(value, enum.Enum) and rule.is_active(field) and value not in meanings:
                yield field

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
