"""Whose state is it: the natives of torch.optim, told by what their state_dict holds."""

from collections.abc import Mapping
from typing import Any

from samestep.reference.rule import Rule

from .pytorch import DECOUPLES, EXECUTION, PAIRS, pytorch

DECOUPLED = "decoupled_weight_decay"
WITH_DECOUPLED = (*DECOUPLES, "AdamW")  # their groups have this entry
STEP_AND_MORE = {"step", "mu"}  # what natives count or derive from the count


def natives_like(group: Mapping[str, Any], states: set[str]) -> list[str]:
    """The optimizers of torch.optim that may have saved a parameter group, likeliest first.

    ``states`` are the names of all states beside it.
    """
    names = []
    for name, native in pytorch.natives.items():
        fits = set(arguments_in_group(name)) <= set(group)
        if DECOUPLED in group and name not in WITH_DECOUPLED:
            continue
        if name == "AdamW" and not group.get(DECOUPLED, True):
            continue
        if fits and states <= {*STEP_AND_MORE, *native.state.values()}:
            names.append(name)
    most = max((len(arguments_in_group(name)) for name in names), default=0)
    names = [name for name in names if len(arguments_in_group(name)) == most]
    is_decoupled = bool(group.get(DECOUPLED))
    return sorted(names, key=lambda name: name.endswith("W") != is_decoupled)


def arguments_in_group(name: str) -> list[str]:
    """The arguments of a native as its parameter groups have them, several numbers as a tuple."""
    arguments = list(pytorch.find(name).arguments)
    for pair, singles in PAIRS.items():
        if singles[0] in arguments:
            arguments = [argument for argument in arguments if argument not in singles] + [pair]
    return arguments


def rule_of(name: str, group: Mapping[str, Any]) -> Rule | None:
    """The rule by which that native moved a saved group, or None if no rule says it."""
    known = {*arguments_in_group(name), *EXECUTION}
    if name in DECOUPLES:
        known.add(DECOUPLED)
    try:
        return pytorch.read(name, **{key: group[key] for key in known if key in group})
    except (ValueError, TypeError):
        return None


def refusal_of_native(ours: str, group: Mapping[str, Any], states: set[str]) -> str:
    """What to say of a native's state that was to be loaded by our optimizer of a rule."""
    names = natives_like(group, states)
    if not names:
        return (
            f"the saved state must belong to {ours} of samestep, got one whose groups name no "
            "rule; another optimizer saved it: load it into an optimizer of that class"
        )
    likely = " or ".join(f"torch.optim.{name}" for name in names)
    text = (
        f"the saved state must belong to {ours} of samestep, got a native's: by its groups it is "
        f"that of {likely}. Nothing here converts it yet. To go on from it, load it into "
        f"{likely}"
    )
    rule = rule_of(names[0], group)
    if rule is None:
        return text
    state = pytorch.find(names[0]).state
    pairs = ", ".join(f"{mine!r} for {theirs!r}" for mine, theirs in state.items())
    return (
        f"{text}; or start anew with the rule of its steps, {rule!r}, which keeps 'step' and "
        f"{pairs}"
    )
