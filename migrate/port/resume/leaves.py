"""Everything that a run consists of, as leaves: arrays and plain values by name, each of a stage.

Leaves are copies. The state_dict() of PyTorch shares memory with the live run.
"""

import enum
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from samestep.migrate.port.refused import shown


class Stage(enum.StrEnum):
    """What a leaf belongs to, in the order in which losses are reported."""

    WEIGHTS = "weights"
    BUFFERS = "buffers"
    ARRAYS = "optimizer arrays"
    COUNTS = "step counts"
    GROUPS = "groups"
    SCHEDULE = "schedule"
    SCALE = "loss scale"
    AVERAGES = "averages"
    RANDOM = "random state"
    DATA = "data position"


class Leaf(NamedTuple):
    """A value of the run, its stage, and the dtype it has in its framework ("" if it is plain)."""

    stage: Stage
    value: Any
    dtype: str = ""


Leaves = dict[str, Leaf]
COUNTS = ("step", "iteration", "iterations", "steps")
NO_PARTS = ("step", "batches")  # entries of a run that are no part of it


def leaves(run: Mapping[str, Any]) -> Leaves:
    """The leaves of all parts of a run."""
    listed: Leaves = {}
    for name, part in run.items():
        if name not in NO_PARTS:
            listed.update({f"{name}/{place}": leaf for place, leaf in _of_part(part)})
    return listed


def weights(run: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies of the weights of a run, in its own order."""
    return {
        name: leaf.value
        for name, leaf in leaves(_models(run)).items()
        if leaf.stage is Stage.WEIGHTS
    }


def _models(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in run.items() if is_torch_module(part) or is_keras(part)}


def is_torch_module(part: Any) -> bool:
    """True for a model of PyTorch."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(part, torch.nn.Module)


def is_keras(part: Any) -> bool:
    """True for a model of Keras."""
    keras: Any = sys.modules.get("keras")
    return keras is not None and isinstance(part, keras.Model)


def is_keras_optimizer(part: Any) -> bool:
    """True for an optimizer of Keras."""
    keras: Any = sys.modules.get("keras")
    return keras is not None and isinstance(part, keras.optimizers.Optimizer)


def _of_part(part: Any) -> Iterator[tuple[str, Leaf]]:
    if is_keras(part):
        yield from _of_keras_model(part)
    elif is_keras_optimizer(part):
        yield from _of_keras_optimizer(part)
    elif is_torch_module(part):
        yield from _of_module(part)
    elif hasattr(part, "state_dict"):
        yield from _of_state_dict(part)
    elif hasattr(part, "get_state") and hasattr(part, "initial_seed"):  # a torch.Generator
        yield "state", _leaf(Stage.RANDOM, part.get_state())
    elif hasattr(part, "bit_generator"):  # NumPy's
        yield from _flat(Stage.RANDOM, "state", part.bit_generator.state)
    elif isinstance(part, int | float | str | bool | np.ndarray) or hasattr(part, "detach"):
        yield "", _leaf(Stage.DATA, part)


def _of_module(model: Any) -> Iterator[tuple[str, Leaf]]:
    """Parameters and buffers; those of an averaged model are averages."""
    averaged = hasattr(model, "n_averaged")
    trained = {name for name, _ in model.named_parameters()}
    for name, value in model.state_dict().items():
        stage = Stage.WEIGHTS if name in trained else Stage.BUFFERS
        yield name, _leaf(Stage.AVERAGES if averaged else stage, value)


def _of_state_dict(part: Any) -> Iterator[tuple[str, Leaf]]:
    """What a part of PyTorch saves of itself."""
    saved = part.state_dict()
    if "param_groups" in saved and "state" in saved:
        for key, state in saved["state"].items():
            for name, value in state.items():
                stage = Stage.COUNTS if name in COUNTS else Stage.ARRAYS
                yield from _flat(stage, f"{key}/{name}", value)
        yield from _flat(Stage.GROUPS, "groups", saved["param_groups"])
    elif "last_epoch" in saved:
        yield from _flat(Stage.SCHEDULE, "state", saved)
    elif {"scale", "growth_factor"} <= set(saved):
        yield from _flat(Stage.SCALE, "state", saved)
    else:
        yield from _flat(Stage.DATA, "state", saved)


def _of_keras_model(model: Any) -> Iterator[tuple[str, Leaf]]:
    """Weights, other variables, seeds of dropout, and the optimizer that it was compiled with."""
    trained = {id(variable) for variable in model.trainable_variables}
    measured = {id(variable) for variable in model.metrics_variables}
    for place, variable in enumerate(model.variables):
        if id(variable) in measured:
            continue
        stage = Stage.WEIGHTS if id(variable) in trained else Stage.BUFFERS
        if variable.name == "seed_generator_state":
            stage = Stage.RANDOM
        yield f"{place} {variable.name}", _leaf(stage, variable)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        for name, leaf in _of_keras_optimizer(optimizer):
            yield f"optimizer/{name}", leaf


def _of_keras_optimizer(optimizer: Any) -> Iterator[tuple[str, Leaf]]:
    """Its variables by place, since their names are numbered anew in each run."""
    for place, variable in enumerate(optimizer.variables):
        stage = Stage.ARRAYS
        if variable.name in COUNTS:
            stage = Stage.COUNTS
        elif variable.name == "learning_rate":
            stage = Stage.GROUPS
        elif variable.name in ("step_counter", "dynamic_scale"):
            stage = Stage.SCALE
        elif variable.name.endswith("_average"):
            stage = Stage.AVERAGES
        yield f"{place} {unnumbered(variable.name)}", _leaf(stage, variable)


def unnumbered(name: str) -> str:
    """A name without the numbers that Keras gives within a process."""
    return re.sub(r"_\d+(?=_|$)", "", name)


def _flat(stage: Stage, name: str, value: Any) -> Iterator[tuple[str, Leaf]]:
    """The leaves of nested containers."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(stage, f"{name}/{key}", each)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from _flat(stage, f"{name}/{place}", each)
    elif callable(value) and not hasattr(value, "detach"):
        return
    else:
        yield name, _leaf(stage, value)


def _leaf(stage: Stage, value: Any) -> Leaf:
    """A copy of a value."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype in ("bfloat16", "float16"):
            tensor = tensor.float()  # which has the same values
        return Leaf(stage, np.array(tensor.numpy(), order="C"), dtype)
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "numpy"):
        array = np.array(value.numpy() if hasattr(value, "numpy") else value, order="C")
        return Leaf(stage, array, array.dtype.name)
    return Leaf(stage, value)


class Loss(NamedTuple):
    """A leaf that is not what it was: how ("missing", "cast", "changed", "extra"), and the text."""

    name: str
    stage: Stage
    how: str
    text: str


def compare(before: Leaves, after: Leaves) -> list[Loss]:
    """The leaves that a loaded run has not, or not as the saved one, in the order of stages."""
    losses = []
    for name, leaf in before.items():
        if name not in after:
            losses.append(Loss(name, leaf.stage, "missing", "is missing"))
        elif loss := _difference(name, leaf, after[name]):
            losses.append(loss)
    extra = after.keys() - before.keys()
    losses += [Loss(name, after[name].stage, "extra", "is there, but was not") for name in extra]
    order = list(Stage)
    return sorted(losses, key=lambda loss: (order.index(loss.stage), loss.name))


def _difference(name: str, leaf: Leaf, other: Leaf) -> Loss | None:
    if leaf.dtype != other.dtype:
        text = f"was {leaf.dtype or 'a plain value'} and is {other.dtype or 'a plain value'}"
        return Loss(name, leaf.stage, "cast", text)
    if not isinstance(leaf.value, np.ndarray):
        if leaf.value == other.value or leaf.value is other.value:
            return None
        text = f"was {shown(leaf.value)} and is {shown(other.value)}"
        return Loss(name, leaf.stage, "changed", text)
    if leaf.value.shape != other.value.shape:
        text = f"had the shape {leaf.value.shape} and has {other.value.shape}"
        return Loss(name, leaf.stage, "changed", text)
    if leaf.value.tobytes() == other.value.tobytes():
        return None
    if leaf.value.size == 1:
        text = f"was {leaf.value.reshape(-1)[0]} and is {other.value.reshape(-1)[0]}"
    else:
        count = int((leaf.value != other.value).sum())
        text = f"differs in {count} of {leaf.value.size} elements"
    return Loss(name, leaf.stage, "changed", text)
