"""The training operators of ONNX under its reference evaluator, as a model of one node."""

from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import Call
from samestep.reference.dialects import onnx as dialect
from samestep.reference.dialects.onnx import FIRST, NATIVES, PREFIX

from . import Native
from .one_tensor import OneTensor, run_each

NEEDS = ("onnx",)
TITLE = f"onnx.reference {PREFIX}"
STATES = {"Momentum": ["V"], "Adagrad": ["H"], "Adam": ["V", "H"]}  # in the order of the operator's inputs
INPUTS = ("R", "T")


def modes(name: str) -> list[str]:
    """There is one."""
    return ["evaluator"]


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of an operator whose outputs are fed back as inputs. It has no settings for each step."""
    if each_step:
        raise ValueError(f"onnx has no settings before each step, got {each_step!r}")
    rule = dialect.read(native.call.name, **native.call.arguments)
    return run_each(rule.lr, trial, dtype, lambda tensor: _run_tensor(native.call, dtype, tensor))


def _run_tensor(call: Call, dtype: str, tensor: OneTensor) -> np.ndarray:
    session = _session(call, dtype, tensor.start.size)
    values = {"X": tensor.start.astype(dtype)}
    for state in STATES[call.name]:
        values[state] = np.zeros_like(values["X"])
    if NATIVES[call.name].state.get("G") in call.arguments:
        values["H"] += np.asarray(call.arguments["H"], dtype)
    thetas = []
    for t, (gradient, rate) in enumerate(tensor.steps, start=FIRST[call.name]):
        inputs = {"R": np.asarray(rate, dtype), "T": np.asarray(t, np.int64), "G": gradient.astype(dtype), **values}
        outputs = session.run(None, inputs)
        values = {name: np.asarray(value, dtype) for name, value in zip(values, outputs, strict=True)}
        thetas.append(values["X"])
    return np.array(thetas)


def _session(call: Call, dtype: str, size: int) -> Any:
    """An evaluator of the one-node model."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    states = STATES[call.name]
    kind = getattr(TensorProto, {"float32": "FLOAT", "float64": "DOUBLE"}[dtype])
    shapes = {"R": (kind, []), "T": (TensorProto.INT64, []), **{name: (kind, [size]) for name in ("X", "G", *states)}}
    inputs = [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(f"new {name}", kind, [size]) for name in ("X", *states)]
    attributes = {name: value for name, value in call.arguments.items() if name not in (*INPUTS, "H")}
    node = helper.make_node(call.name, list(shapes), [o.name for o in outputs], domain=PREFIX, **attributes)
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid(PREFIX, 1)]
    return ReferenceEvaluator(
        helper.make_model(helper.make_graph([node], "step", inputs, outputs), opset_imports=opsets)
    )
