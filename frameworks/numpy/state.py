"""Saved states of NumPy's adapter: loaded whole or refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samestep import reference
from samestep.reference import Rule
from samestep.reference.former_names import present_names
from samestep.reference.saved_state import STEP, check_saved, count_of

from . import namespace

RULES = {rule.__name__: rule for rule in reference.RULES}
ENTRIES = ("rule", "hyperparameters", "lr", "state")

State = dict[str, np.ndarray]


def saved_rule(rule: Rule, saved: Any) -> Rule:
    """The rule of a saved state dict; ValueError unless it is of the class of ``rule``."""
    kind = type(rule).__name__
    if not isinstance(saved, Mapping) or not set(ENTRIES) <= set(saved):
        raise ValueError(
            f"the saved state must be a dict with {', '.join(ENTRIES)}, as state_dict() gives it, "
            f"got {saved!r:.80}"
        )
    if saved["rule"] != kind:
        raise ValueError(
            f"the saved state must belong to {kind}, got {saved['rule']!r}; build the optimizer "
            "with that rule"
        )
    return RULES[kind](**present_names(kind, saved["hyperparameters"]))


def checked_states(
    parameters: Sequence[np.ndarray], rule: Rule, saved: Sequence[Any]
) -> list[tuple[int, State]]:
    """Of each parameter its count and a copy of its arrays; ValueError if something is amiss.

    An empty state begins anew.
    """
    if len(saved) != len(parameters):
        raise ValueError(
            f"the saved state must be of {len(parameters)} parameters, as the optimizer has, got "
            f"{len(saved)}; build the optimizer with the parameters that were saved"
        )
    loaded = []
    for index, (parameter, state) in enumerate(zip(parameters, saved, strict=True)):
        label = f"parameter {index}"
        check_saved(label, rule, parameter, state, namespace)
        count = count_of(label, state.get(STEP, 0))
        arrays = rounded(rule.start(widened(parameter), namespace), parameter.dtype)
        for name, array in state.items():
            if name != STEP:
                arrays[name] = as_dtype(f"{label}: {name!r}", array, parameter.dtype)
        loaded.append((count, arrays))
    return loaded


def as_dtype(label: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy of the array in ``dtype``; ValueError if a number would change."""
    with np.errstate(all="ignore"):
        new = np.array(array, dtype)
    if not np.array_equal(new.astype(array.dtype), array, equal_nan=True):
        raise ValueError(
            f"{label} must have numbers that {dtype} holds, got {array.dtype}; load it beside "
            f"parameters of {array.dtype}"
        )
    return new


def widened(array: np.ndarray) -> np.ndarray:
    """The array in the dtype that steps are computed in."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def rounded(state: State, dtype: np.dtype) -> State:
    """The arrays of a state in ``dtype``."""
    return {name: np.asarray(array).astype(dtype, copy=False) for name, array in state.items()}
