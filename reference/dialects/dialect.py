"""A dialect as one value: how a framework, a paper or an article writes the rules."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from samestep.reference.checks import require, require_like_a_rule
from samestep.reference.near_miss import did_you_mean
from samestep.reference.rule import Rule

from .call import Call, Native
from .refusal import refuse
from .remedy import Workaround


class Reader(Protocol):
    """A function that gives the rule that an optimizer's name and arguments mean."""

    def __call__(self, name: str, /, **arguments: Any) -> Rule: ...


class Refusal(NamedTuple):
    """Why a dialect cannot express certain rules, beyond what their fields show.

    It is for rules of which ``applies(rule)`` is true. ``why`` may contain the rule's fields, such
    as ``{epsilon}``. ``size`` says how far the nearest call is.
    """

    applies: Callable[[Any], Any]
    why: str
    size: str = ""


def _as_they_are(arguments: dict[str, Any], native: Native) -> dict[str, Any]:
    return arguments


def _as_it_is(native: Native, rule: Rule) -> Native:
    return native


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dialect:
    """How a framework, a paper or an article writes the rules.

    ``name`` identifies the dialect and stands before the colon of a call as text. ``prefix`` says
    in messages where its optimizers are, such as "torch.optim". ``natives`` has an entry for each
    of them that follows a rule.

    ``read(name, **arguments)`` gives the rule that a call means. It raises ValueError for an
    unknown name or argument and for a value out of range, Inexpressible for what no rule here does.
    ``express(rule)`` gives the call that means the rule in exact arithmetic, or None. ``ours`` says
    what takes the steps of any ``{rule}`` where the dialect is used: our adapter.

    ``join`` writes the arguments of a native as its signature has them, such as two of them as a
    pair. ``adapt(native, rule)`` is the native as other arguments of the rule make it. ``refusals``
    explain why a rule cannot be expressed; the first that applies is used. ``lacking`` explains it
    for a class of rules, by name. ``workarounds`` are what users can do beside a call.
    ``unsupported`` maps arguments that no rule describes to the value that switches each off.
    ``read_only`` names natives that ``spell`` never gives. ``left_out`` maps optimizers of the
    framework that are no rules to the reason.
    """

    name: str
    prefix: str
    natives: Mapping[str, Native]
    read: Reader
    express: Callable[[Rule], Call | None]
    ours: str
    join: Callable[[dict[str, Any], Native], dict[str, Any]] = _as_they_are
    adapt: Callable[[Native, Rule], Native] = _as_it_is
    refusals: Sequence[Refusal] = ()
    workarounds: Sequence[Workaround] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    unsupported: Mapping[str, Any] = field(default_factory=dict)
    read_only: Collection[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"dialects.{self.name}"

    def spell(self, rule: Rule) -> Call:
        """The call that means the rule in exact arithmetic, or Inexpressible with remedies."""
        require_like_a_rule(rule)
        call = self.express(rule)
        if call is None:
            raise refuse(rule, self)
        return call

    def title(self, name: str) -> str:
        """An optimizer's name in messages, "torch.optim.Adam" or "the paper's Adam"."""
        return f"{self.prefix}'s {name}" if " " in self.prefix else f"{self.prefix}.{name}"

    def find(self, name: str) -> Native:
        """The native of that name.

        ValueError gives the reason why an optimizer is left out, or the names there are.
        """
        require("name", name, str, f"the name of an optimizer such as {next(iter(self.natives))!r}")
        if name in self.left_out:
            raise ValueError(f"{self.title(name)} is left out: {self.left_out[name]}")
        if name not in self.natives:
            advice = did_you_mean(name, (*self.natives, *self.left_out))
            known = ", ".join(self.natives)
            raise ValueError(
                f"{self.prefix} has no optimizer {name!r} here{advice}; there are: {known}"
            )
        return self.natives[name]

    def natives_of(self, rule: type[Rule]) -> dict[str, Native]:
        """The natives that follow rules of this class."""
        return {name: native for name, native in self.natives.items() if native.rule is rule}

    def natives_for(self, rule: Rule) -> dict[str, Native]:
        """The same, as this rule makes them."""
        natives = self.natives_of(type(rule))
        return {name: self.adapt(native, rule) for name, native in natives.items()}

    def native_for(self, rule: Rule) -> str | None:
        """The name of the first native that can express the rule, or None."""
        for name, native in self.natives_for(rule).items():
            if not native.differences(rule) and name not in self.read_only:
                return name
        return None

    def state_names(self, rule: Rule) -> dict[str, str]:
        """What the dialect calls each state of the rule: our name to its name.

        Where several natives follow the rule, the first that has a name for a state decides.
        """
        names: dict[str, str] = {}
        for native in self.natives_of(type(rule)).values():
            names = {**native.state, **names}
        return names
