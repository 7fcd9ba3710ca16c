"""What one side of a pair writes down: a record of training steps, read back by NumPy alone.

A record is an .npz file with one JSON text and arrays. Nothing in it is executed or unpickled.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
VERSION = 1
ARRAY = "<array>"  # the key that marks an array in the JSON text


@dataclass
class Call:
    """One call of a layer or function; filled in while the step goes on.

    ``owner`` is the name of the layer, which ``name`` extends by "#2" for the second call.
    ``parameters`` maps roles such as "weight" to names of parameters. ``settings`` are plain
    values such as eps. ``gradient`` is that of the loss, at the output. The responses say how far
    output and gradient move if everything before them moves by a relative 2^-36.
    """

    index: int
    name: str
    owner: str
    kind: str
    detail: str
    inputs: list[np.ndarray]
    parameters: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    output: np.ndarray = field(default_factory=lambda: np.zeros(0))
    gradient: np.ndarray | None = None
    output_response: float = 0.0
    gradient_response: float = 0.0


@dataclass
class Update:
    """What clipping and the optimizer made of a gradient: each by name of the parameter.

    ``state`` has the optimizer's arrays by their name, then by name of the parameter. ``rate`` is
    the learning rate of the step, if it is known.
    """

    clipped: Arrays = field(default_factory=dict)
    after: Arrays = field(default_factory=dict)
    state: dict[str, Arrays] = field(default_factory=dict)
    rate: float | None = None


@dataclass
class Step:
    """One training step. ``before`` and ``buffers`` are float parameters and buffers by name.

    ``structure`` is what the model returns, such as "tensor" or "dict(logits)"; ``outputs`` are its
    tensors in order, ``output_names`` their places, ``losses`` what layers add to the loss. The
    responses are those of the loss, the outputs, the output gradients, the gradients and the
    buffers.
    """

    calls: list[Call] = field(default_factory=list)
    structure: str = ""
    outputs: list[np.ndarray] = field(default_factory=list)
    output_gradients: list[np.ndarray | None] = field(default_factory=list)
    loss: float = 0.0
    added_loss: float = 0.0
    gradients: Arrays = field(default_factory=dict)
    before: Arrays = field(default_factory=dict)
    after_forward: Arrays = field(default_factory=dict)
    responses: dict[str, Any] = field(default_factory=dict)
    update: Update | None = None
    output_names: list[str] = field(default_factory=list)


@dataclass
class Record:
    """All steps of one side, with the batch in its layout.

    ``inputs``, ``targets`` and ``weights`` (of samples) are arrays, or lists or dicts of them.
    ``trained`` names the parameters that the optimizer moves. ``facts`` are plain values: versions,
    the dtype, the text of the loss, the number of parameters.
    """

    side: str
    dtype: str
    inputs: Any
    targets: Any
    weights: Any = None
    trained: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> Path:
        """Write the record; equal arrays are stored once."""
        arrays: Arrays = {}
        text = json.dumps({"version": VERSION, **_plain(vars(self), arrays)})
        arrays["record"] = np.frombuffer(text.encode(), np.uint8)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return path


def load(path: Path) -> Record:
    """Read a record; ValueError if the file is none."""
    advice = "write one with samestep record FILE.py --out a.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        plain = json.loads(bytes(arrays.pop("record")))
        version = plain.pop("version")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} must be a record of samestep; {advice}") from error
    if version != VERSION:
        raise ValueError(f"{path} must be a record of version {VERSION}, got {version}; {advice}")
    values = _restored(plain, arrays)
    values["steps"] = [_step(step) for step in values["steps"]]
    return Record(**values)


def _step(values: dict[str, Any]) -> Step:
    values["calls"] = [Call(**call) for call in values["calls"]]
    if values["update"] is not None:
        values["update"] = Update(**values["update"])
    return Step(**values)


def _plain(value: Any, arrays: Arrays) -> Any:
    """The value as JSON has it; its arrays go into ``arrays`` by the digest of their content."""
    if isinstance(value, np.ndarray):
        key = _digest(value)
        arrays[key] = value
        return {ARRAY: key}
    if isinstance(value, Call | Step | Update):
        return _plain(vars(value), arrays)
    if isinstance(value, dict):
        return {str(key): _plain(each, arrays) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, arrays) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _restored(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, dict):
        if ARRAY in value:
            return arrays[value[ARRAY]]
        return {key: _restored(each, arrays) for key, each in value.items()}
    if isinstance(value, list):
        return [_restored(each, arrays) for each in value]
    return value


def _digest(array: np.ndarray) -> str:
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.blake2b(head + array.tobytes(), digest_size=16).hexdigest()


def unchanged(step: Step, names: Iterable[str]) -> list[str]:
    """Those of the names whose arrays a forward pass leaves as they are."""
    before, after = step.before, step.after_forward
    return [name for name in names if np.array_equal(before[name], after[name])]


def leaves(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree of lists and dicts, in order."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return leaves(list(tree.values()))
    if isinstance(tree, list | tuple):
        collected: list[np.ndarray] = []
        for each in tree:
            collected += leaves(each)
        return collected
    return [np.asarray(tree)]


def shared_uniform(key: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1) that both sides draw alike, for dropout call number ``key``."""
    count = int(np.prod(shape))
    raw = np.random.Philox(key=key).random_raw(count)
    return ((np.asarray(raw) >> np.uint64(11)) * 2.0**-53).reshape(shape)
