"""Why a dialect cannot express a rule, computed from the fields of its nearest native."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samestep.reference.rule import Decay, Epsilon, Rule

from . import remedy
from .call import Inexpressible

if TYPE_CHECKING:
    from .dialect import Dialect

PLACES = {
    Epsilon.OUTSIDE: "to the root",
    Epsilon.INSIDE: "under the root",
    Epsilon.HAT: "before the bias correction of v",
}
SIZES = {  # of the best static match: native's place of epsilon, rule's place
    (
        Epsilon.INSIDE,
        Epsilon.OUTSIDE,
    ): "with 16/9 epsilon^2 a step 25 % too small to 25 % too large",
    (Epsilon.OUTSIDE, Epsilon.INSIDE): (
        "with 0.816 sqrt(epsilon) a step 23 % too small to 23 % too large"
    ),
}
ADAM_SIZE = "per element a factor between sqrt(1 - beta2^t) and 1 at step t with the same epsilon"
DECAYS = {  # adjective, and what a rule does with its weight decay
    Decay.COUPLED: ("coupled", "couples it"),
    Decay.DECOUPLED: ("decoupled", "decouples it"),
    Decay.JOINED: ("joined", "joins it to the direction"),
}


def refuse(rule: Rule, dialect: "Dialect") -> Inexpressible:
    """The error for a rule that no native of the dialect expresses, with what to use instead."""
    why, size = _reason(rule, dialect)
    return Inexpressible(f"{rule!r} in {dialect.prefix}", why, remedy.find(rule, dialect), size)


def _reason(rule: Rule, dialect: "Dialect") -> tuple[str, str]:
    """Why the dialect cannot express the rule, and how far the nearest call is, or nothing.

    Where natives follow rules of this class, the first of ``dialect.refusals`` that applies is
    taken, otherwise the reason comes from the fields in which the nearest native differs. Where
    none does, ``dialect.lacking`` may have a reason.
    """
    name = type(rule).__name__
    natives = dialect.natives_for(rule)
    if not natives:
        return dialect.lacking.get(name, f"it has no {name}"), ""
    nearest = min(natives, key=lambda native: len(natives[native].differences(rule)))
    fields = natives[nearest].differences(rule)
    if "decay" in fields and rule.decay is Decay.AFTER:
        return "no optimizer there decays after the step, this rule does", ""
    if "bias_correction" in fields:
        return f"{dialect.title(nearest)} corrects the bias of both means, this rule of neither", ""
    for refusal in dialect.refusals:
        if refusal.applies(rule):
            return refusal.why.format(**rule.to_dict()), refusal.size
    fields = [field for field in fields if field != "buffer"] or fields  # equal at a constant rate
    if "maximize" in fields:
        return f"{dialect.prefix} only minimizes", ""
    if fields == ["epsilon_at"]:
        place = natives[nearest].fixed["epsilon_at"]
        wanted = Epsilon[rule.to_dict()["epsilon_at"]]
        why = f"{dialect.title(nearest)} adds epsilon {_places(place, wanted)}"
        return why, SIZES.get((place, wanted), ADAM_SIZE)
    return f"{dialect.title(nearest)} {_lack(rule, fields, natives[nearest].fixed)}", ""


def refuse_arguments(
    title: str, arguments: Mapping[str, Any], switched_off: Mapping[str, Any], instead: str
) -> None:
    """Raise Inexpressible if an argument of a call has another value than in ``switched_off``.

    ``title`` names the optimizer, ``instead`` is what to use. Arguments that are not given pass.
    """
    for name, nothing in switched_off.items():
        if arguments.get(name, nothing) != nothing:
            what = f"{name}={arguments[name]!r} of {title}"
            raise Inexpressible(what, "no rule here has it", instead)


def _places(place: Epsilon, wanted: Epsilon) -> str:
    """Where the native and the rule add epsilon, as the end of a sentence."""
    if wanted is Epsilon.HAT:
        return "after the bias correction of v, this rule before it"
    ours = "after it" if place is Epsilon.HAT else PLACES[wanted]
    return f"{PLACES[place]}, this rule {ours}"


def _lack(rule: Rule, fields: list[str], fixed: Mapping[str, Any]) -> str:
    """What the nearest native has no argument for, as the end of a sentence."""
    if "weight_decay" in fields:
        return "has no weight decay"
    if "decay" in fields:
        theirs, _ = DECAYS[fixed["decay"]]
        _, ours = DECAYS[rule.decay]
        return f"has only {theirs} weight decay, this rule {ours}"
    choices = [f"{name} (here {fixed[name]!r})" if name in fixed else name for name in fields]
    return f"leaves no choice of {', '.join(choices)}"
