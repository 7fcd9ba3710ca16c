"""Why a dialect cannot say a rule: read off the fields that its nearest native decides otherwise."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from samestep.reference.rule import Decay, Epsilon, Rule

from .call import Inexpressible, Native

PLACES = {
    Epsilon.OUTSIDE: "to the root", Epsilon.INSIDE: "under the root", Epsilon.HAT: "before the bias correction of v",
}  # fmt: skip
SIZES = {  # of the best static match of one place in another: native, rule
    (Epsilon.INSIDE, Epsilon.OUTSIDE): "with 16/9 epsilon^2 a step 25 % too small to 25 % too large",
    (Epsilon.OUTSIDE, Epsilon.INSIDE): "with 0.816 sqrt(epsilon) a step 23 % too small to 23 % too large",
}
ADAM = "per element a factor between sqrt(1 - beta2^t) and 1 at step t with the same epsilon"
KINDS = {
    Decay.COUPLED: ("coupled", "couples it"), Decay.DECOUPLED: ("decoupled", "decouples it"),
    Decay.JOINED: ("joined", "joins it to the direction"),
}  # fmt: skip


class Refusal(NamedTuple):
    """What a dialect has to say about the rules that it ``applies`` to, beyond what can be read off the fields.

    The texts may name ``{name}``, the rule's class, its fields, and ``{ours}``, our adapter's call.
    """

    applies: Callable[[Any], Any]
    why: str
    instead: str = "{ours}"
    size: str = ""
    each_step: str = ""

    def of(self, rule: Rule, prefix: str, ours: str) -> Inexpressible:
        """The error for this rule."""
        words = {**rule.to_dict(), "name": type(rule).__name__, "ours": ours}
        why, instead, each_step = (text.format(**words) for text in (self.why, self.instead, self.each_step))
        return Inexpressible(f"{rule!r} in {prefix}", why, instead, self.size, each_step)


def refuse(
    rule: Rule, natives: Mapping[str, Native], prefix: str, instead: str, each_step: str = "",
    special: Iterable[Refusal] = (), lacking: Mapping[str, str] = MappingProxyType({}),
) -> Inexpressible:  # fmt: skip
    """The refusal of a rule that none of ``natives`` says; ``each_step`` makes up for a wrong place of epsilon.

    Where natives follow the rule's class, the first of the ``special`` refusals that applies goes before. Where none
    does, ``lacking`` says why, by the class' name, unless there simply is none.
    """
    what = f"{rule!r} in {prefix}"
    near = [(native.differences(rule), name) for name, native in natives.items() if native.rule is type(rule)]
    if not near:
        return Inexpressible(what, lacking.get(type(rule).__name__, f"it has no {type(rule).__name__}"), instead)
    for refusal in special:
        if refusal.applies(rule):
            return refusal.of(rule, prefix, instead)
    differences, name = min(near, key=lambda found: len(found[0]))
    differences = [
        field for field in differences if field != "buffer"
    ] or differences  # alone it holds at a constant rate
    title, fixed = f"{prefix}.{name}", natives[name].fixed
    if "maximize" in differences:
        return Inexpressible(what, f"{prefix} only minimizes", f"negate the loss, or {instead}")
    if "weight_decay" in differences:
        return Inexpressible(what, f"{title} has no weight decay", instead)
    if "decay" in differences:
        theirs, (_, ours) = KINDS[fixed["decay"]][0], KINDS[Decay[rule.to_dict()["decay"]]]
        return Inexpressible(what, f"{title} has only {theirs} weight decay, this rule {ours}", instead)
    if differences == ["epsilon_at"]:
        at, wanted = fixed["epsilon_at"], Epsilon[rule.to_dict()["epsilon_at"]]
        ours = "after it" if at is Epsilon.HAT else PLACES[wanted]
        why = f"{title} adds epsilon {PLACES[at]}, this rule {ours}"
        if wanted is Epsilon.HAT:
            why = f"{title} adds epsilon after the bias correction of v, this rule before it"
        return Inexpressible(what, why, instead, SIZES.get((at, wanted), ADAM), each_step)
    told = ", ".join(f"{field} (here {fixed[field]!r})" if field in fixed else field for field in differences)
    return Inexpressible(what, f"{title} leaves no choice of {told}", instead)
