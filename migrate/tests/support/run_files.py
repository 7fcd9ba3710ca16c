"""Runs after real steps, and files of them that were damaged on purpose."""

import dataclasses
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from samestep.migrate.port import Around, Run, Tensor, neutral
from samestep.migrate.port.run import FRAMED
from samestep.reference import RULES, Adam, Rule

SHAPES = {"fc.weight": (6, 4), "fc.bias": (6,), "conv.weight": (3, 2, 2, 2)}


def plain_rules() -> list[Rule]:
    """Each rule with its defaults, and Adam with everything that it may keep."""
    return [*(rule() for rule in RULES), Adam(amsgrad=True, weight_decay=0.01)]


def stepped(rule: Rule, steps: int = 5, dtype: Any = np.float32) -> Run:
    """The run of three tensors after some steps of the rule; the first is seen transposed."""
    random = np.random.default_rng(7)
    tensors = []
    for place, (name, shape) in enumerate(SHAPES.items()):
        theta = random.standard_normal(shape).astype(dtype)
        view = tuple(range(theta.ndim))
        if isinstance(rule, FRAMED) and theta.ndim == 2:
            view = (1, 0)
        theta = np.ascontiguousarray(theta.transpose(view))
        state = rule.start(theta, np)
        for t in range(1, steps + 1):
            gradient = random.standard_normal(theta.shape).astype(dtype)
            theta, state = rule.update(theta, gradient, state, rule.coefficients(t, rule.lr), np)
        back = np.argsort(view)
        own = rule.replace(weight_decay=0.25) if place == 1 else None
        tensors.append(
            Tensor(name=name, theta=theta.transpose(back), state=state, t=steps, view=view,
                   path=f"layer/{name}", rule=own)
        )  # fmt: skip
    buffers = {"bn.running_mean": np.arange(3.0), "bn.count": np.array(5)}
    parts = Around(schedule={"part": "Step", "factor": 0.1, "every": 30}, loss_scale=None)
    return Run(
        rule=rule, tensors=tuple(tensors), rate=0.1, taken=steps, buffers=buffers,
        source="pytorch:Adam", parts=parts,
    )  # fmt: skip


def in_dtype(run: Run, dtype: Any) -> Run:
    """The same run with weights and state rounded to another dtype."""
    tensors = []
    for tensor in run.tensors:
        state = {name: value.astype(dtype) for name, value in tensor.state.items()}
        tensors.append(dataclasses.replace(tensor, theta=tensor.theta.astype(dtype), state=state))
    return dataclasses.replace(run, tensors=tuple(tensors))


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of safetensors, and the bytes behind it."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: bytes, rest: bytes) -> bytes:
    """Safetensors of a header."""
    return struct.pack("<Q", len(header)) + header + rest


def forged(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file whose description was edited, and its digest with it."""
    header, _ = header_of(data)
    description = json.loads(header["__metadata__"]["samestep"])
    change(description)
    return resigned(data, json.dumps(description))


def resigned(data: bytes, text: str) -> bytes:
    """A file with another text as its description, and the right digest."""
    import safetensors

    header, rest = header_of(data)
    arrays = {
        name: np.frombuffer(entry["data"], neutral.named_dtype(neutral.DTYPES[entry["dtype"]]))
        .reshape(entry["shape"])
        for name, entry in safetensors.deserialize(data)
    }  # fmt: skip
    header["__metadata__"] = {"samestep": text, "sha256": neutral.digest(text, arrays)}
    return with_header(json.dumps(header).encode(), rest)
