"""The usual ways to save and load a run: state_dict() with torch.save, and Keras' save_weights."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samestep.migrate.port.refused import Refused

from .leaves import NO_PARTS, is_keras, is_keras_optimizer

Run = dict[str, Any]


def save(run: Run, folder: Path) -> None:
    """Save every part that says how: into one .pt file, and a .weights.h5 for a model of Keras."""
    states = {}
    for name, part in _parts(run).items():
        if is_keras(part):
            part.save_weights(folder / f"{name}.weights.h5")
        elif is_keras_optimizer(part):
            _checkpoint(part).write(str(folder / name))
        elif hasattr(part, "state_dict"):
            states[name] = part.state_dict()
    if states:
        _torch().save(states, folder / "run.pt")


def load(run: Run, folder: Path) -> None:
    """Load what ``save`` saved, part by part, in the order in which the run lists them."""
    path = folder / "run.pt"
    states = _torch().load(path, weights_only=True) if path.exists() else {}
    for name, part in _parts(run).items():
        if is_keras(part):
            part.load_weights(folder / f"{name}.weights.h5")
        elif is_keras_optimizer(part):
            _checkpoint(part).read(str(folder / name))
        elif name in states:
            part.load_state_dict(states[name])


def _parts(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in run.items() if name not in NO_PARTS}


def _checkpoint(optimizer: Any) -> Any:
    """A checkpoint of an optimizer of Keras that belongs to no compiled model."""
    tf: Any = sys.modules["tensorflow"]
    return tf.train.Checkpoint(optimizer=optimizer)


def _torch() -> Any:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        raise Refused(
            "a part with state_dict() must be one of PyTorch, which is not imported; give your own "
            "functions that save and load"
        )
    return torch
