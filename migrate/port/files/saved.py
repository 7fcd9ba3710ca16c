"""What a checkpoint holds, as plain numbers, whichever library wrote it."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from samestep.reference import Rule

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SavedGroup:
    """A parameter group: its rule, or why there is none, and the hyperparameters as saved."""

    rule: Rule | None
    reason: str = ""
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SavedTensor:
    """The optimizer's arrays of one parameter, by the rule's names where they are known.

    ``t`` is the number of steps counted, None where nobody counts. ``group`` is a place in the
    optimizer's groups.
    """

    label: str
    state: Arrays
    t: int | None
    group: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SavedOptimizer:
    """An optimizer in a checkpoint.

    ``native`` names its class, such as "keras.optimizers.Adam". ``rate`` is the learning rate of
    the step to come, if the file has one; ``schedule`` says how it changes. ``taken`` counts all
    steps. ``others`` are arrays of which nobody says whose they are.
    """

    native: str
    groups: tuple[SavedGroup, ...]
    tensors: tuple[SavedTensor, ...]
    rate: float | None = None
    schedule: str = ""
    taken: int | None = None
    others: Arrays = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Saved:
    """A checkpoint: its format, the weights and buffers by name, and the optimizers in it.

    ``remarks`` say what else there is, and ``lost`` what contradicts each other: a line each.
    """

    format: str
    weights: Arrays
    optimizers: tuple[SavedOptimizer, ...] = ()
    remarks: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
