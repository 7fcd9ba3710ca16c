"""How the calls of two dialects relate: computed by reading in one and spelling in the other."""

import enum
from collections.abc import Iterator
from typing import Any, NamedTuple

from samestep.reference.checks import require
from samestep.reference.rule import Rule

from .call import Call, Inexpressible, Native
from .dialect import Dialect


class Kind(enum.Enum):
    """The kinds of relation, from the closest to none."""

    SAME = "the same hyperparameters, under the other's names"
    OTHER = "other hyperparameters, exact"
    CONSTANT = "exact while the learning rate stays constant"
    EACH_STEP = "exact with a setting before each step"
    IMPOSSIBLE = "no call means it"


class Relation(NamedTuple):
    """How a dialect expresses a rule: by ``call``, or not, and ``refusal`` says why."""

    kind: Kind
    call: Call | None
    refusal: Inexpressible | None

    @property
    def note(self) -> str:
        """What the kind leaves out: the call, the setting, or the reason and size; or nothing."""
        if self.refusal:
            size = f" ({self.refusal.size})" if self.refusal.size else ""
            setting = f"; before step t: {self.refusal.each_step}" if self.refusal.each_step else ""
            return f"{self.refusal.why}{size}{setting}"
        if self.kind is Kind.CONSTANT and self.call and self.call.each_step:
            return f"otherwise before each step: {self.call.each_step}"
        return str(self.call) if self.kind is Kind.OTHER else ""


def relate(rule: Rule, dialect: Dialect) -> Relation:
    """How the dialect expresses the rule."""
    require("dialect", dialect, Dialect, "a dialect such as dialects.keras")
    try:
        call = dialect.spell(rule)
    except Inexpressible as refusal:
        return Relation(Kind.EACH_STEP if refusal.each_step else Kind.IMPOSSIBLE, None, refusal)
    if call.condition:
        return Relation(Kind.CONSTANT, call, None)
    same = repr(dialect.read(call.name, **call.arguments)) == repr(rule)
    return Relation(Kind.SAME if same else Kind.OTHER, call, None)


def nearest(rule: Rule, dialect: Dialect) -> Call | None:
    """The call with the rule's numbers whose native differs in the fewest fields.

    None if the dialect has no optimizer of the rule's class.
    """
    natives = [
        (len(native.differences(rule)), name)
        for name, native in dialect.natives_of(type(rule)).items()
        if name not in dialect.read_only
    ]
    if not natives:
        return None
    _, name = min(natives)
    native = dialect.natives[name]
    return Call(name, dialect.join(necessary(native) | native.spell(rule), native))


SWITCHES: dict[str, Any] = {  # field: a value that switches it on
    "momentum": 0.5, "nesterov": True, "dampening": 0.5, "centered": True, "amsgrad": True,
    "lr_decay": 0.125, "weight_decay": 0.125, "maximize": True,
}  # fmt: skip
NEEDS = {"nesterov": ("momentum",), "dampening": ("momentum",)}  # fields that must be on, too
RATE = 0.5  # any learning rate will do


def calls(dialect: Dialect, rule: type[Rule]) -> Iterator[tuple[str, Rule]]:
    """The calls of a dialect that give different rules: each native plain, and with each switch on.

    Yields the call as text and its rule. The text leaves out the learning rate and arguments that
    must be given but have no effect.
    """
    rules: list[Rule] = []
    for name, native in dialect.natives_of(rule).items():
        if name in dialect.read_only:
            continue
        for field in ("", *SWITCHES):
            arguments = _switched_on(native, field)
            if arguments is None:
                continue
            meaning = dialect.read(name, **{**necessary(native), **arguments})
            if meaning not in rules:
                rules.append(meaning)
                yield str(Call(name, arguments)), meaning


def necessary(native: Native) -> dict[str, Any]:
    """A learning rate, and the arguments that must be given, with values that have no effect."""
    default = native.rule().replace(lr=RATE)
    return {
        argument: native.literal(argument, getattr(default, field))
        for argument, field in native.arguments.items()
        if argument in native.required or field == "lr"
    }


def _switched_on(native: Native, field: str) -> dict[str, Any] | None:
    """The arguments that switch a field on, with what it needs; None if there are none."""
    arguments = {meaning: argument for argument, meaning in native.arguments.items()}
    fields = (field, *NEEDS.get(field, ())) if field else ()
    if not all(name in arguments for name in fields):
        return None
    return {arguments[name]: native.literal(arguments[name], SWITCHES[name]) for name in fields}
