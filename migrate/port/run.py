"""The neutral form of a run: rule, weights, optimizer state and the parts around them.

Weights stand in PyTorch's layout. ``view`` is the order of their axes in which the rule sees them;
the state of rules that tell one axis from another (``FRAMED``) stands in that order, all other
state in PyTorch's. Every array has its own dtype, and nothing is cast.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from samestep.reference import Adafactor, Muon, Rule

from .refused import Refused, shown

FRAMED = (Adafactor, Muon)  # rules that tell one axis from another; LAMB's norms do not
MOST_STEPS = 2**62
LONGEST_NAME = 500
NO_VALUES: Mapping[str, Any] = {}
# States that are means or sums of squares, or sizes of steps.
NEVER_NEGATIVE = {
    "Adam": "vw", "NAdam": "vP", "RMSprop": "v", "Adagrad": "G", "Adadelta": "vu", "Adamax": "u",
    "RAdam": "v", "LAMB": "v", "ScheduleFree": "v", "Adafactor": "vrc", "FTRL": "n", "Muon": "v",
    "Rprop": "d",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """One parameter: ``theta`` in PyTorch's layout, and the rule's state of it.

    ``t`` is the number of steps counted, None where the source does not count (torch's SGD).
    ``view`` orders theta's axes as the rule sees them. ``path`` is the variable's name in Keras.
    ``rule`` is None unless its parameter group has other hyperparameters. ``average`` is that of
    its weights, None where none is kept.
    """

    name: str
    theta: np.ndarray
    state: Mapping[str, np.ndarray]
    t: int | None
    view: tuple[int, ...]
    path: str = ""
    rule: Rule | None = None
    average: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Around:
    """What acts before and after the rule, as plain values; None where there is none.

    ``schedule``, ``clipping``, ``average`` and ``accumulation`` are parts of
    ``samestep.reference.parts`` by their ``to_dict()``. ``loss_scale`` and ``random`` are dicts of
    numbers and texts.
    """

    schedule: Mapping[str, Any] | None = None
    clipping: Mapping[str, Any] | None = None
    average: Mapping[str, Any] | None = None
    accumulation: Mapping[str, Any] | None = None
    loss_scale: Mapping[str, Any] | None = None
    random: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A run between two steps.

    ``rate`` is the learning rate of the step to come, and ``taken`` the position of the schedule.
    ``buffers`` are arrays of the model that no optimizer moves. ``source`` says whose run it was,
    such as "keras:Adam".
    """

    rule: Rule
    tensors: tuple[Tensor, ...]
    rate: float
    taken: int | None = None
    buffers: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    source: str = ""
    parts: Around = dataclasses.field(default_factory=Around)

    def rule_of(self, tensor: Tensor) -> Rule:
        """The rule that moves a tensor of this run."""
        return tensor.rule or self.rule


def check(run: Run, allow_nan: bool = False) -> list[str]:
    """Refused unless a rule can go on from the run; what looks lost, as a line each.

    ``allow_nan`` accepts NaN and infinity in weights, state and buffers.
    """
    if not (0 <= run.rate < np.inf):
        raise Refused(f"the rate must be a number in [0, inf), got {run.rate}; give the right one")
    _check_count("the run", run.taken)
    counts = Counter(tensor.name for tensor in run.tensors)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise Refused(f"each tensor must have a name of its own, got {shown(twice[0])} twice")
    for name in (*counts, *run.buffers):
        check_name(name)
    for name, buffer in run.buffers.items():
        _check_finite(f"buffer {shown(name)}", buffer, allow_nan)
    lines = [_checked_tensor(run, tensor, allow_nan) for tensor in run.tensors]
    return [line for line in lines if line]


def check_name(name: Any) -> None:
    """Refused unless a name is printable text that a message and a terminal can show."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused(
            f"a name must be printable text of 1 to {LONGEST_NAME} characters, got {shown(name)}; "
            "rename it"
        )


def is_real(dtype: np.dtype) -> bool:
    """True for floating point, the half precisions that NumPy itself lacks included."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def start_of(rule: Rule, tensor: Tensor) -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
    """By state, its shape and the one number that fills it before the first step.

    The number is an array of no or one element, in double precision.
    """
    seen = tuple(tensor.theta.shape[axis] for axis in tensor.view)
    shape = seen if isinstance(rule, FRAMED) else tensor.theta.shape
    try:
        whole = rule.start(np.broadcast_to(np.float16(0), shape), np)  # for its shapes alone
        small = rule.start(np.zeros([1] * len(shape)), np)
    except ValueError as error:
        raise Refused(f"{tensor.name}: {error}") from error
    return {name: (value.shape, small[name].reshape(-1)) for name, value in whole.items()}


def is_start(value: np.ndarray, number: np.ndarray) -> bool:
    """True if all elements are the start's number, which may have gone through float32."""
    if not value.size:
        return True
    rounded = number.astype(value.dtype).astype(np.float32)
    return bool((value.astype(np.float32, copy=False) == rounded).all())


def _checked_tensor(run: Run, tensor: Tensor, allow_nan: bool) -> str:
    """Refused unless the tensor's state is possible; a line if it looks lost, or nothing."""
    rule, name = run.rule_of(tensor), tensor.name
    if sorted(tensor.view) != list(range(tensor.theta.ndim)):
        raise Refused(
            f"{name}: view must order the axes of {tensor.theta.shape}, got {shown(tensor.view)}"
        )
    start = start_of(rule, tensor)
    if set(start) != set(tensor.state):
        raise Refused(
            f"{name}: {type(rule).__name__} keeps {sorted(start)}, got "
            f"{shown(sorted(tensor.state))}; state was lost, or belongs to another rule"
        )
    arrays = {"theta": tensor.theta, **tensor.state}
    if tensor.average is not None:
        arrays["average"] = tensor.average
    for key, value in arrays.items():
        shape = start[key][0] if key in start else tensor.theta.shape
        if value.shape != shape:
            raise Refused(
                f"{name}: {key} must have the shape {shape}, got {value.shape}: theta has "
                f"{tensor.theta.shape}, and the rule sees its axes in the order {tensor.view}"
            )
        if not is_real(value.dtype):
            raise Refused(f"{name}: {key} must be real floating point, got {value.dtype}")
        _check_finite(f"{name}: {key}", value, allow_nan)
        if key in NEVER_NEGATIVE.get(type(rule).__name__, "") and (value < 0).any():
            raise Refused(
                f"{name}: {key} must not be negative, {int((value < 0).sum())} of {value.size} "
                "elements are; the arrays were exchanged or damaged"
            )
    _check_count(name, tensor.t)
    return _looks_lost(tensor, start)


def _looks_lost(tensor: Tensor, start: Mapping[str, tuple[tuple[int, ...], np.ndarray]]) -> str:
    """A line if the count and the arrays contradict each other.

    Refused where steps cannot have led there: no step, and yet other numbers than the start's.
    """
    states = tensor.state.items()
    begun = [name for name, value in states if not is_start(value, start[name][1])]
    if tensor.t == 0 and begun:
        raise Refused(
            f"{tensor.name}: no step is counted, yet {begun[0]} is not as before the first step; "
            "the count was lost: give the right one"
        )
    if tensor.t and tensor.state and not begun:
        return (
            f"{tensor.name}: {tensor.t} steps are counted, yet its state is as before the first; "
            "it was lost, unless all its gradients were zero"
        )
    return ""


def _check_count(name: str, count: Any) -> None:
    whole = isinstance(count, int) and not isinstance(count, bool)
    if count is not None and not (whole and 0 <= count < MOST_STEPS):
        raise Refused(f"{name}: the step count must be a whole number, got {shown(count)}")


def _check_finite(label: str, value: np.ndarray, allow_nan: bool) -> None:
    if allow_nan or (value.dtype.kind in "iub"):
        return
    finite = np.isfinite(value)
    if not finite.all():
        first = tuple(np.argwhere(~finite)[0].tolist())
        raise Refused(
            f"{label} must be finite, {int((~finite).sum())} of {value.size} elements are not, the "
            f"first at {first}; allow NaN to carry them as they are"
        )
