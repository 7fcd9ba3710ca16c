"""Parameter groups under the rule's own names, and under those by which torch moves momentum.

torch's schedulers of momentum write ``group["betas"] = (beta1, beta2)``, and our rules have the two
numbers. A group has both, and is a plain dict, since torch's compiler can read no other. The two
are brought together before they are used: what was changed since they last agreed counts.
"""

import functools
from collections.abc import Iterable
from typing import Any

from samestep import reference
from samestep.reference import dialects

BETAS = ("beta1", "beta2")
RULES = {rule.__name__: rule for rule in reference.RULES}

Group = dict[str, Any]
Pair = tuple[Any, Any]


class Agreement:
    """Brings "betas" together with beta1 and beta2, and knows what they were before."""

    def __init__(self) -> None:
        self._last: dict[int, Pair] = {}  # by the identity of a group

    def renew(self, groups: Iterable[Group]) -> None:
        """Bring the two together in each group whose rule has them.

        ValueError if both were changed, and differ, and for an entry that would move what the
        rule does not have.
        """
        last: dict[int, Pair] = {}
        for group in groups:
            rule = group["rule"]
            if not _names_of_others(rule).isdisjoint(group):
                raise ValueError(_refusal(rule, min(_names_of_others(rule) & group.keys())))
            if has_betas(rule):
                last[id(group)] = _agreed(group, self._last.get(id(group)))
        self._last = last


def betas(pair: Any) -> dict[str, Any]:
    """The two numbers that a value of "betas" sets; ValueError unless they are two."""
    if not isinstance(pair, list | tuple) or len(pair) != len(BETAS):
        raise ValueError(f"betas must be a pair such as (0.9, 0.999), got {pair!r}")
    return dict(zip(BETAS, pair, strict=True))


@functools.cache
def has_betas(rule: str) -> bool:
    """True if the rule of that name has the two numbers that torch calls betas."""
    return "betas" in _names(rule)


def _agreed(group: Group, last: Pair | None) -> Pair:
    """The two numbers, which the group now has in both ways; before they were ``last``."""
    numbers = group["beta1"], group["beta2"]
    if numbers == last == group.get("betas"):
        return numbers
    moved = betas(group.get("betas", numbers))
    for name, old in zip(BETAS, last or (None, None), strict=True):
        new, number = moved[name], group[name]
        if new in (old, number):
            continue
        if number != old:
            raise ValueError(
                f"{name} of a parameter group must be one number, got {number!r} in "
                f"group[{name!r}] and {new!r} in group['betas'], and both were changed since they "
                "last agreed; set one of them, and the other follows at the next step"
            )
        group[name] = new
    group["betas"] = numbers = group["beta1"], group["beta2"]
    return numbers


@functools.cache
def _names(rule: str) -> tuple[str, ...]:
    """What a group of that rule may set."""
    names = RULES[rule].names()
    return (*names, "betas") if set(BETAS) <= set(names) else names


@functools.cache
def _names_of_others(rule: str) -> frozenset[str]:
    """Names by which another rule, or torch, calls a hyperparameter, and this rule does not."""
    names: set[str] = set()
    for other in RULES:
        names.update(_names(other))
    for native in dialects.pytorch.natives.values():
        names.update(native.arguments)
    return frozenset(names.difference(_names(rule)))


def _refusal(rule: str, name: str) -> str:
    """Why the entry cannot be set, and what can."""
    text = f"a parameter group of {rule} may set {', '.join(_names(rule))}, got {name!r}"
    if name == "momentum" and has_betas(rule):
        return f"{text}; the momentum of {rule} is beta1: set group['betas'] or group['beta1']"
    if name in ("momentum", "betas"):
        return (
            f"{text}; {rule} has no momentum of that name: give its scheduler no momentum to move"
        )
    return text
