"""What the recorders of both frameworks share."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .record import Call

TITLES = {"pytorch": "PyTorch", "keras": "Keras"}
NONE_TRAINED = {
    "pytorch": "the PyTorch model must have at least one parameter that is trained, but it has "
    "none",
    "keras": "the Keras model must have at least one variable that is trained, but it has none",
}


class PairError(ValueError):
    """A pair that cannot be compared: the message says what must hold, what came, what to do."""


def require_tensorflow(keras: Any) -> None:
    """PairError if Keras runs on another backend than TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        raise PairError(
            "Keras must run on its tensorflow backend, but it runs on "
            f"{keras.backend.backend()}; set the environment variable KERAS_BACKEND=tensorflow"
        )


class LeavesDtype(PairError):
    """A model computes in another dtype than float64, to which it was set."""


class UserError(PairError):
    """The user's own code failed; ``__cause__`` is its exception."""


class Put(NamedTuple):
    """What is put in place of a call's output, and of the gradient that goes on from there."""

    output: np.ndarray | None = None
    gradient: np.ndarray | None = None


Putting = Callable[[Call], Put | None]
MaskLayout = Callable[[Call], "tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]] | None"]


def nothing(call: Call) -> None:
    """Do nothing before a layer runs."""


def no_layout(call: Call) -> None:
    """The mask of dropout lies as the layer's own input."""


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


def in_order(named: list[tuple[str, Any]], order: list[str]) -> list[tuple[str, Any]]:
    """The outputs in this order of names, if they have just these names; else as they are."""
    by_name = dict(named)
    if set(by_name) != set(order) or len(named) != len(order):
        return named
    return [(name, by_name[name]) for name in order]


def structure_of(names: list[str]) -> str:
    """What a model returns, in words: one tensor, or the places of its tensors."""
    return "one tensor" if names == [""] else f"tensors {', '.join(names)}"


def described(value: Any) -> str:
    """The shape of an array or tensor, or the type of anything else."""
    return f"shape {tuple(value.shape)}" if hasattr(value, "shape") else type(value).__name__


def refuse_nan(calls: list[Call], loss: float, side: str) -> None:
    """PairError for the first call that gives NaN, or for a loss that is not finite."""
    for call in calls:
        if np.any(np.isnan(call.output)):
            raise PairError(
                f"the forward pass must have no NaN, but {call.name} ({call.kind}) of the {side} "
                "model is the first layer that gives one"
            )
    if not np.isfinite(loss):
        raise PairError(f"the loss of the {side} model must be finite, got {loss}")


OTHER_CALLS = (
    "the {side} model must make the same calls each time, but a second pass made {call} where the "
    "first made {first}; take control flow that depends on values out of the model, or compare its "
    "branches one by one"
)


def require_same_call(side: str, call: Call, first: list[Call]) -> Call:
    """The call of the first pass in the place of this one; PairError if it is another."""
    expected = first[call.index] if call.index < len(first) else None
    if expected is None or (expected.owner, expected.kind) != (call.owner, call.kind):
        name = expected.name if expected else "none"
        raise PairError(OTHER_CALLS.format(side=side, call=call.name, first=name))
    return expected


def require_same_count(side: str, again: list[Call], first: list[Call]) -> None:
    """PairError if a second pass made fewer calls than the first."""
    if len(again) < len(first):
        missing = first[len(again)].name
        raise PairError(OTHER_CALLS.format(side=side, call="none", first=missing))
