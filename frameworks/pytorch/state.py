"""Saved states of PyTorch's adapter: loaded whole, by names where there are some, or refused."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from samestep.reference import Rule
from samestep.reference.dialects.saved_natives import refusal_of_native
from samestep.reference.former_names import present_names
from samestep.reference.saved_state import STEP, check_saved, count_of
from samestep.reference.views import COUPLED, View

from . import namespace
from .frames import Plain, views_of
from .groups import RULES, Agreement
from .trace import compute_dtype

Groups = Sequence[dict[str, Any]]


class Loading:
    """One load of a state dict by torch: checked before it, and put right after it."""

    def __init__(self) -> None:
        self.checked: dict[str, Any] = {}

    def check(self, optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
        """What torch may load; ValueError if something is amiss in ``saved``."""
        self.checked = checked_state_dict(optimizer.param_groups, saved)
        return self.checked

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Put the states back that torch has rounded to the dtypes of the parameters."""
        states = self.checked["state"]
        for group, saved in zip(optimizer.param_groups, self.checked["param_groups"], strict=True):
            for theta, key in zip(group["params"], saved["params"], strict=True):
                if key in states:
                    optimizer.state[theta] = states[key]


def checked_state_dict(groups: Groups, saved: Any) -> dict[str, Any]:
    """The saved state dict as ``groups`` can load it; ValueError if something is amiss in it.

    Hyperparameters have their present names, parameters stand in the order of ``groups``, and
    states are tensors of the parameters' devices, in the dtype that ``kept_dtype`` gives.
    Nothing is changed, neither ``groups`` nor ``saved``.
    """
    if not isinstance(saved, Mapping) or not {"state", "param_groups"} <= set(saved):
        raise ValueError(
            "the saved state must be a dict with 'state' and 'param_groups', as state_dict() "
            f"gives it, got {_described(saved)}"
        )
    _check_rules(groups, saved)
    new_groups = [
        _checked_group(index, group, saved_group)
        for index, (group, saved_group) in enumerate(
            zip(groups, saved["param_groups"], strict=True)
        )
    ]
    frames_by_key: dict[int, View | None] = {}
    for group in new_groups:
        frames_by_key.update(zip(group["params"], views_of(group), strict=True))
    states = dict(saved["state"])
    new_states = {}
    for label, theta, rule, key in _places(groups, new_groups):
        state = states.pop(key, {})
        seen = frames_by_key.get(key)
        shape = seen.shape_of(theta.shape) if seen and isinstance(rule, COUPLED) else theta.shape
        check_saved(
            label, rule, torch.empty(shape, dtype=theta.dtype, device="meta"), state, namespace
        )
        if state:
            new_states[key] = _converted(label, theta, state)
    if states:
        known = sum(len(group["params"]) for group in new_groups)
        raise ValueError(
            f"the saved state must be of the {known} parameters in its groups, got a state of "
            f"{next(iter(states))!r} as well; save and load the whole state_dict()"
        )
    return {**saved, "param_groups": new_groups, "state": new_states}


def kept_dtype(theta: torch.Tensor, value: torch.Tensor) -> torch.dtype:
    """The dtype in which a saved state of ``theta`` goes on.

    It is theta's own, in which its steps are computed. Steps of float16 and bfloat16 are computed
    in float32: beside these a state of another dtype goes on in float32, so that it keeps the
    digits that it was saved with.
    """
    return theta.dtype if value.dtype == theta.dtype else compute_dtype(theta)


def _check_rules(groups: Groups, saved: Mapping[str, Any]) -> None:
    """Refuse a state of another rule or of a native, and one of another number of groups."""
    ours = [group["rule"] for group in groups]
    saved_groups = saved["param_groups"]
    theirs = [group.get("rule") for group in saved_groups]
    if None in theirs:
        native = saved_groups[theirs.index(None)]
        raise ValueError(refusal_of_native(ours[0], native, _states_of(saved)))
    if len(theirs) != len(ours):
        raise ValueError(
            f"the saved state must have {len(ours)} parameter groups, as the optimizer has, got "
            f"{len(theirs)}; build the optimizer with the groups that were saved"
        )
    if ours != theirs:
        raise ValueError(
            f"the saved state must belong to {ours}, got {theirs}; "
            "build the optimizer with that rule"
        )


def _checked_group(index: int, group: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """A saved group with present names and with its parameters in the order of ``group``."""
    kind = group["rule"]
    label = f"parameter group {index}"
    new = {**present_names(kind, saved), "params": list(saved.get("params", []))}
    missing = [name for name in RULES[kind].names() if name not in new]
    if missing:
        raise ValueError(
            f"{label}: the saved group must have every hyperparameter of {kind}, it lacks "
            f"{', '.join(missing)}; save the whole state_dict()"
        )
    if not _is_finite(new["lr"]):
        raise ValueError(f"{label}: the saved lr must be a finite number, got {new['lr']!r}")
    try:
        rule_of_group(new)
        Agreement().renew([new])
    except ValueError as error:
        raise ValueError(f"{label}: {error}; so was it saved") from error
    if len(new["params"]) != len(group["params"]):
        raise ValueError(
            f"{label} must have {len(group['params'])} parameters, as the optimizer has, got "
            f"{len(new['params'])} in the saved state; build the optimizer with the parameters "
            "that were saved"
        )
    names, saved_names = group.get("param_names"), new.get("param_names")
    by_key = dict(zip(new["params"], new.get("views") or [], strict=False))
    if names and saved_names:
        new["params"] = _by_name(label, names, dict(zip(saved_names, new["params"], strict=True)))
        new["param_names"] = list(names)
    _take_views(label, group, new, by_key)
    return new


def _take_views(
    label: str, group: dict[str, Any], new: dict[str, Any], by_key: dict[int, Plain]
) -> None:
    """Give a saved group the views of its parameters, by their keys in the state.

    ValueError if both sides have views, they differ, and the rule depends on them.
    """
    saved = [by_key.get(key) for key in new["params"]] if "views" in new else None
    if "views" not in group:
        if saved is not None:
            new["views"] = saved
        return
    ours = group["views"]
    if issubclass(RULES[new["rule"]], COUPLED) and ours != (saved or [None] * len(ours)):
        raise ValueError(
            f"{label}: the saved state must be of the same views as the optimizer's, {ours}, got "
            f"{saved or 'none'}; build the optimizer with the views that were saved"
        )
    new["views"] = ours


def _by_name(label: str, names: list[str], saved: dict[str, int]) -> list[int]:
    """The keys of the saved states in the order of ``names``."""
    missing = [name for name in names if name not in saved]
    if missing or len(saved) != len(names):
        extra = [name for name in saved if name not in names]
        raise ValueError(
            f"{label}: saved parameters are matched by name, and the saved state has no "
            f"{missing[0] if missing else names[0]!r}; its names that are not the optimizer's: "
            f"{extra}. Rename them in its 'param_names'; or delete 'param_names' there, and "
            "parameters are matched by their order"
        )
    return [saved[name] for name in names]


def rule_of_group(group: Mapping[str, Any]) -> Rule:
    """The rule of a parameter group, but for its learning rate; ValueError as the rule's own."""
    kind = RULES[group["rule"]]
    return kind(**{name: group[name] for name in kind.names() if name != "lr"})


def _places(groups: Groups, saved_groups: Groups) -> Iterator[tuple[str, torch.Tensor, Rule, int]]:
    """Of each parameter: a label for messages, itself, its saved rule, its key in the state."""
    for group, saved_group in zip(groups, saved_groups, strict=True):
        rule = rule_of_group(saved_group)
        names = group.get("param_names")
        for place, (theta, key) in enumerate(
            zip(group["params"], saved_group["params"], strict=True)
        ):
            label = f"parameter {key} ({names[place]!r})" if names else f"parameter {key}"
            yield label, theta, rule, key


def _converted(label: str, theta: torch.Tensor, state: Mapping[str, Any]) -> dict[str, Any]:
    """The checked state of ``theta`` as the optimizer keeps it; the tensors are copies."""
    new: dict[str, Any] = {STEP: count_of(label, state[STEP])}
    for name, value in state.items():
        if name == STEP:
            continue
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{label}: {name!r} must be a tensor, got {type(value).__name__}")
        if not value.is_floating_point():
            raise ValueError(f"{label}: {name!r} must have a real dtype, got {value.dtype}")
        new[name] = value.detach().to(theta.device, kept_dtype(theta, value), copy=True)
        if value.isfinite().all() and not new[name].isfinite().all():
            raise ValueError(
                f"{label}: {name!r} must fit into {new[name].dtype}, got {value.abs().max()}; "
                f"go on in {value.dtype}"
            )
    return new


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except (TypeError, ValueError, RuntimeError):
        return False


def _states_of(saved: Mapping[str, Any]) -> set[str]:
    """The names of all states in a saved state dict."""
    names: set[str] = set()
    for state in saved["state"].values():
        names.update(state if isinstance(state, Mapping) else ())
    return names


def _described(value: Any) -> str:
    return f"a dict with {list(value)}" if isinstance(value, Mapping) else f"{value!r:.80}"
