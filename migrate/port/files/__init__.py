"""Readers of checkpoints that execute nothing in them."""

from pathlib import Path

from samestep.migrate.port import neutral
from samestep.migrate.port.disk import read_once
from samestep.migrate.port.refused import Refused
from samestep.migrate.port.run import Run

from .keras import read_keras, read_weights
from .pytorch import read_pytorch
from .saved import Saved, SavedGroup, SavedOptimizer, SavedTensor
from .tensorflow import is_checkpoint, read_tensorflow

__all__ = ["Saved", "SavedGroup", "SavedOptimizer", "SavedTensor", "from_run", "read"]

ZIP = b"PK\3\4"
HDF5 = b"\x89HDF"
PICKLE = b"\x80"


def read(path: Path, call: str = "") -> Saved:
    """What a checkpoint holds, told by its content; Refused in one line for everything else.

    ``call`` names the optimizer, such as "keras:Adam()", for files that do not.
    """
    if is_checkpoint(path):
        return read_tensorflow(path, call)
    data = read_once(path)
    label = str(path)
    if data[8:9] == b"{":
        return from_run(neutral.from_bytes(data, label))
    if data.startswith(HDF5):
        return read_weights(data, label, call)
    if data.startswith(ZIP):
        is_keras = b"model.weights.h5" in data[-(2**20) :]
        return read_keras(data, label, call) if is_keras else read_pytorch(data, label, call)
    if data.startswith(PICKLE):
        return read_pytorch(data, label, call)
    raise Refused(
        f"{label} must be a checkpoint: .pt, .keras, .weights.h5, the prefix of a TensorFlow "
        "checkpoint, or a run file of samestep"
    )


def from_run(run: Run) -> Saved:
    """What a run file holds."""
    rules = [run.rule]
    for tensor in run.tensors:
        if run.rule_of(tensor) not in rules:
            rules.append(run.rule_of(tensor))
    tensors = [
        SavedTensor(
            label=tensor.name,
            state=tensor.state,
            t=tensor.t,
            group=rules.index(run.rule_of(tensor)),
        )
        for tensor in run.tensors
    ]
    optimizer = SavedOptimizer(
        native=run.source or "unknown",
        groups=tuple(SavedGroup(rule=rule, settings=rule.to_dict()) for rule in rules),
        tensors=tuple(tensors),
        rate=run.rate,
        schedule=str(dict(run.parts.schedule)) if run.parts.schedule else "",
        taken=run.taken,
    )
    weights = {tensor.name: tensor.theta for tensor in run.tensors}
    return Saved(format=neutral.FORMAT, weights={**weights, **run.buffers}, optimizers=(optimizer,))
