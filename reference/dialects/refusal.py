"""Why a dialect cannot express a rule, computed from the fields of its nearest native."""

from collections.abc import Mapping
from typing import Any

from samestep.reference.rule import Decay, Epsilon, Rule

from .call import Inexpressible
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


def refuse(rule: Rule, dialect: Dialect, instead: str, each_step: str = "") -> Inexpressible:
    """The error for a rule that no native of the dialect expresses; ``instead`` is what to use.

    ``each_step`` is code that makes up for another place of epsilon. Where natives follow rules of
    this class, the first of ``dialect.refusals`` that applies is taken, otherwise the reason comes
    from the fields in which the nearest native differs. Where none does, ``dialect.lacking`` may
    have a reason.
    """
    name = type(rule).__name__
    what = f"{rule!r} in {dialect.prefix}"
    natives = dialect.natives_of(type(rule))
    if not natives:
        return Inexpressible(what, dialect.lacking.get(name, f"it has no {name}"), instead)
    if rule.weight_decay and rule.decay is Decay.AFTER:
        return Inexpressible(
            what, "no optimizer there decays after the step, this rule does", instead
        )
    if not getattr(rule, "bias_correction", True):
        why = "every optimizer there corrects the bias of both means, this rule of neither"
        return Inexpressible(what, why, instead)
    for refusal in dialect.refusals:
        if refusal.applies(rule):
            return refusal.error(rule, dialect.prefix, instead)
    nearest = min(natives, key=lambda native: len(natives[native].differences(rule)))
    fields = natives[nearest].differences(rule)
    fields = [field for field in fields if field != "buffer"] or fields  # equal at a constant rate
    if "maximize" in fields:
        why = f"{dialect.prefix} only minimizes"
        return Inexpressible(what, why, f"negate the loss, or {instead}")
    if fields == ["epsilon_at"]:
        place = natives[nearest].fixed["epsilon_at"]
        wanted = Epsilon[rule.to_dict()["epsilon_at"]]
        why = f"{dialect.title(nearest)} adds epsilon {_places(place, wanted)}"
        return Inexpressible(what, why, instead, SIZES.get((place, wanted), ADAM_SIZE), each_step)
    why = _lack(rule, fields, natives[nearest].fixed)
    return Inexpressible(what, f"{dialect.title(nearest)} {why}", instead)


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
