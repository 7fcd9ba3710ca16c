"""What the recorders of both frameworks share."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .record import Call


class PairError(ValueError):
    """A pair that cannot be compared: the message says what must hold, what came, what to do."""


class UserError(PairError):
    """The user's own code failed; ``__cause__`` is its exception."""


class Put(NamedTuple):
    """What is put in place of a call's output, and of the gradient that goes on from there."""

    output: np.ndarray | None = None
    gradient: np.ndarray | None = None


Putting = Callable[[Call], Put | None]


class Batch(NamedTuple):
    """Inputs, targets and perhaps weights of samples: arrays, or lists or dicts of them."""

    inputs: Any
    targets: Any
    weights: Any = None


@contextlib.contextmanager
def users_code(what: str) -> Iterator[None]:
    """Name whose code failed: the user's. PairErrors pass as they are."""
    try:
        yield
    except PairError:
        raise
    except Exception as error:
        raise UserError(f"{what} failed: {type(error).__name__}: {error}") from error


def named_leaves(
    tree: Any, is_leaf: Callable[[Any], bool], name: str = ""
) -> list[tuple[str, Any]]:
    """The tensors that a model returned, each with its place, such as "logits" or "0"."""
    if is_leaf(tree):
        return [(name, tree)]
    if hasattr(tree, "items"):
        pairs = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        pairs = [(str(number), value) for number, value in enumerate(tree)]
    else:
        return []
    collected: list[tuple[str, Any]] = []
    for key, value in pairs:
        collected += named_leaves(value, is_leaf, f"{name}.{key}" if name else key)
    return collected


def structure_of(names: list[str]) -> str:
    """What a model returns, in words: one tensor, or the places of its tensors."""
    return "one tensor" if names == [""] else f"tensors {', '.join(names)}"


def described(value: Any) -> str:
    """The shape of an array or tensor, or the type of anything else."""
    return f"shape {tuple(value.shape)}" if hasattr(value, "shape") else type(value).__name__


def refuse_nan(calls: list[Call], side: str) -> None:
    """PairError for the first call that makes NaN or infinity of finite inputs."""
    for call in calls:
        if np.all(np.isfinite(call.output)):
            continue
        if all(np.all(np.isfinite(array)) for array in call.inputs):
            raise PairError(
                f"the forward pass must stay finite, but {call.name} ({call.kind}) of the {side} "
                "model is the first that gives NaN or infinity"
            )
