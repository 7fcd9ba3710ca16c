"""Parameter groups under the rule's own names, and under those by which torch moves momentum."""

import functools
from typing import Any

from samestep.reference import RULES, Rule, dialects

BETAS = ("beta1", "beta2")


class Group(dict[str, Any]):
    """A parameter group of a rule, in which "betas" stands for beta1 and beta2.

    torch's schedulers of momentum write ``group["betas"] = (beta1, beta2)``, and that sets the
    rule's two numbers. "betas" is no entry of its own, so nothing can disagree and nothing more is
    saved. An entry that would move what the rule does not have is refused by ValueError.
    """

    def __init__(self, group: dict[str, Any]) -> None:
        super().__init__(group)
        if super().__contains__("betas"):
            self["betas"] = super().pop("betas")

    def __getitem__(self, name: str) -> Any:
        if name == "betas" and "beta1" in self and "beta2" in self:
            return self["beta1"], self["beta2"]
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "betas" and "betas" in self:
            super().update(betas(value))
            return
        if name in hyperparameter_names() and name not in self:
            raise ValueError(_refusal(self, name))
        super().__setitem__(name, value)

    def __contains__(self, name: object) -> bool:
        if name == "betas":
            return "beta1" in self and "beta2" in self
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The entry, or the default if there is none."""
        return self["betas"] if name == "betas" and name in self else super().get(name, default)

    def update(self, *arguments: Any, **changes: Any) -> None:
        """Set several entries."""
        for name, value in dict(*arguments, **changes).items():
            self[name] = value

    def __reduce__(self) -> Any:
        """For copies, which are made whole: an entry alone could be refused."""
        return type(self), (dict(self),)


def betas(pair: Any) -> dict[str, Any]:
    """The two numbers that a value of "betas" sets; ValueError unless they are two."""
    if not isinstance(pair, list | tuple) or len(pair) != len(BETAS):
        raise ValueError(f"betas must be a pair such as (0.9, 0.999), got {pair!r}")
    return dict(zip(BETAS, pair, strict=True))


def has_betas(rule: Rule) -> bool:
    """True if the rule has the two numbers that torch calls betas."""
    return set(BETAS) <= set(rule.names())


@functools.cache
def hyperparameter_names() -> frozenset[str]:
    """All names by which a rule, or torch, calls a hyperparameter."""
    names = {"betas"}
    for rule in RULES:
        names.update(rule.names())
    for native in dialects.pytorch.natives.values():
        names.update(native.arguments)
    return frozenset(names)


def _refusal(group: Group, name: str) -> str:
    """Why the entry cannot be set, and what can."""
    kind = group.get("rule", "the rule")
    known = [known for known in group if known in hyperparameter_names()]
    if "betas" in group:
        known.append("betas")
    text = f"a parameter group of {kind} may set {', '.join(known)}, got {name!r}"
    if name == "momentum" and "betas" in group:
        return f"{text}; the momentum of {kind} is beta1: set group['betas'] or group['beta1']"
    if name in ("momentum", "betas"):
        return (
            f"{text}; {kind} has no momentum of that name: give its scheduler no momentum to move"
        )
    return text
