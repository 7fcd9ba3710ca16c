"""How the calls of two dialects relate: computed by reading in one and spelling in the other."""

import enum
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from samestep.reference.rule import Rule

from .call import Call, Inexpressible, Native


class Kind(enum.Enum):
    """The relations that there are, from the closest to none."""

    SAME = "the same hyperparameters, under the other's names"
    OTHER = "other hyperparameters, exact"
    CONSTANT = "exact while the learning rate stays constant"
    EACH_STEP = "exact with a setting before each step"
    IMPOSSIBLE = "no call means it"


class Relation(NamedTuple):
    """How a dialect says a rule: by a call, or not at all and why."""

    kind: Kind
    call: Call | None
    refusal: Inexpressible | None

    @property
    def note(self) -> str:
        """What the kind leaves unsaid: the other hyperparameters, the setting, the reason and the size; or nothing."""
        if self.refusal:
            size = f" ({self.refusal.size})" if self.refusal.size else ""
            setting = f"; before step t: {self.refusal.each_step}" if self.refusal.each_step else ""
            return f"{self.refusal.why}{size}{setting}"
        if self.kind is Kind.CONSTANT and self.call and self.call.each_step:
            return f"otherwise before each step: {self.call.each_step}"
        return str(self.call) if self.kind is Kind.OTHER else ""


def relate(rule: Rule, words: ModuleType) -> Relation:
    """How the dialect ``words`` says the rule."""
    try:
        call = words.spell(rule)
    except Inexpressible as refusal:
        return Relation(Kind.EACH_STEP if refusal.each_step else Kind.IMPOSSIBLE, None, refusal)
    if call.condition:
        return Relation(Kind.CONSTANT, call, None)
    same = repr(words.read(call.name, **call.arguments)) == repr(rule)
    return Relation(Kind.SAME if same else Kind.OTHER, call, None)


def nearest(rule: Rule, words: ModuleType) -> Call | None:
    """The dialect's call with the rule's numbers that leaves the fewest fields otherwise; None if none has the rule."""
    natives = [
        (len(native.differences(rule)), name) for name, native in words.NATIVES.items()
        if native.rule is type(rule) and name not in getattr(words, "READ_ONLY", ())
    ]  # fmt: skip
    if not natives:
        return None
    _, name = min(natives)
    native = words.NATIVES[name]
    said = necessary(native) | native.spell(rule)
    return Call(name, words.join(said, native) if hasattr(words, "join") else said)


SWITCHES: dict[str, Any] = {  # field: a value that is not nothing
    "momentum": 0.5, "nesterov": True, "dampening": 0.5, "centered": True, "amsgrad": True, "lr_decay": 0.125,
    "weight_decay": 0.125, "maximize": True,
}  # fmt: skip
TOGETHER = {"nesterov": ("momentum",), "dampening": ("momentum",)}  # what else must be on
RATE = 0.5  # any will do


def calls(words: ModuleType, rule: type[Rule]) -> Iterator[tuple[str, Rule]]:
    """The calls of a dialect that are told apart: each native of the rule as it comes, and with each switch on.

    Yields the call as text, without the learning rate and what else must be given but means nothing, and its rule.
    """
    told = []
    for name, native in words.NATIVES.items():
        for field in ("", *SWITCHES) if native.rule is rule and name not in getattr(words, "READ_ONLY", ()) else ():
            given = _switched(native, field)
            if given is None:
                continue
            meant = words.read(name, **{**necessary(native), **given})
            if meant not in told:
                told.append(meant)
                yield str(Call(name, given)), meant


def necessary(native: Native) -> dict[str, Any]:
    """A learning rate, and the arguments that must be given, with values that mean nothing."""
    defaults = {field: getattr(native.rule(), field) for field in native.rule.names()} | {"lr": RATE}
    return {
        argument: native.word(argument, defaults[field]) for argument, field in native.arguments.items()
        if argument in native.required or field == "lr"
    }  # fmt: skip


def _switched(native: Native, field: str) -> dict[str, Any] | None:
    """The arguments that switch a field on, with what it needs; None if the native has none for it."""
    arguments = {meant: argument for argument, meant in native.arguments.items()}
    fields = (field, *TOGETHER.get(field, ())) if field else ()
    if not all(name in arguments for name in fields):
        return None
    return {arguments[name]: native.word(arguments[name], SWITCHES[name]) for name in fields}
