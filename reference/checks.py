"""Checks of the arguments of public functions: what must hold, what came, what to do."""

from collections.abc import Iterable
from typing import Any

from .arguments import WrongArgument, shown
from .rule import Rule


def require(name: str, value: Any, kind: type | tuple[type, ...], due: str) -> None:
    """Check that an argument is of its kind.

    ``due`` says what must be given, like "a schedule such as Cosine(lr=0.1, steps=100)".
    """
    if not isinstance(value, kind):
        raise WrongArgument(f"{name} must be {due}, got {shown(value)}")


def require_rule(rule: Any, beside: Any = None) -> None:
    """Check that an argument is a rule; text, a class and a missing one get advice of their own.

    ``beside`` is what else was given.
    """
    if isinstance(rule, Rule):
        return
    due = "rule must be a rule such as reference.Adam(lr=1e-3)"
    if rule is None:
        others = "" if beside is None else f", and {shown(beside)} beside it"
        raise WrongArgument(f"{due}, got none{others}")
    if isinstance(rule, str):
        advice = f"a call as text is read by samestep.reference.dialects.read({rule!r})"
        raise WrongArgument(f"{due}, got {rule!r}; {advice}")
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise WrongArgument(f"{due}, got {shown(rule)}; write {rule.__name__}()")
    raise WrongArgument(f"{due}, got {shown(rule)}")


def require_like_a_rule(rule: Any, beside: Any = None) -> None:
    """Check that an argument has the methods of a rule, as a wrong rule made on purpose has."""
    methods = all(hasattr(rule, name) for name in ("start", "coefficients", "update"))
    if isinstance(rule, type) or not methods:
        require_rule(rule, beside)


def require_no_others(others: Iterable[str], rule: Any) -> None:
    """Check that an optimizer is given no hyperparameters of its own beside its rule."""
    for name in others:
        example = type(rule).__name__ if isinstance(rule, Rule) else "Adam"
        raise WrongArgument(
            f"{name} must be set on the rule, as in {example}({name}=...), got it as an argument "
            "of the optimizer"
        )


def several(name: str, values: Any, kind: type | tuple[type, ...], due: str) -> list[Any]:
    """The values as a list, each of its kind or None.

    ``due`` says what must be given, like "a list of tensors".
    """
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
        raise WrongArgument(f"{name} must be {due}, got {shown(values)}")
    listed = list(values)
    for index, value in enumerate(listed):
        if value is not None and not isinstance(value, kind):
            raise WrongArgument(f"{name} must be {due}, got {shown(value)} at {index}")
    return listed
