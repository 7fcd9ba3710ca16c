"""ONNX: its training operators, each as a model of one node, run by ONNX' reference evaluator."""

from typing import Any

import numpy as np

from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.reference.dialects import Call
from samestep.reference.dialects import onnx as dialect
from samestep.reference.dialects.onnx import FIRST_T

from . import Native
from .one_tensor import OneTensor, run_each

# The state tensors of each operator, in the order of its inputs.
STATES = {"Momentum": ["V"], "Adagrad": ["H"], "Adam": ["V", "H"]}
INPUTS = ("R", "T")  # arguments that are inputs of an operator, not attributes


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of an operator whose outputs become the next step's inputs.

    ValueError for ``each_step``: there are no settings before a step.
    """
    if each_step:
        raise ValueError(f"onnx has no settings before each step, got {each_step!r}")
    rule = dialect.read(native.call.name, **native.call.arguments)
    return run_each(rule.lr, trial, dtype, lambda tensor: _run_tensor(native.call, dtype, tensor))


def _run_tensor(call: Call, dtype: str, tensor: OneTensor) -> np.ndarray:
    """The values of one tensor after each step, (steps, *shape)."""
    session = _session(call, dtype, tensor.start.size)
    values = {"X": tensor.start.astype(dtype)}
    for state in STATES[call.name]:
        values[state] = np.zeros_like(values["X"])
    if dialect.natives[call.name].state.get("G") in call.arguments:
        values["H"] += np.asarray(call.arguments["H"], dtype)
    thetas = []
    for t, (gradient, rate) in enumerate(tensor.steps, start=FIRST_T[call.name]):
        inputs = {
            "R": np.asarray(rate, dtype),
            "T": np.asarray(t, np.int64),
            "G": gradient.astype(dtype),
        }
        outputs = session.run(None, {**inputs, **values})
        values = dict(zip(values, (np.asarray(value, dtype) for value in outputs), strict=True))
        thetas.append(values["X"])
    return np.array(thetas)


def _session(call: Call, dtype: str, size: int) -> Any:
    """An evaluator of a model whose only node is the operator, for tensors of ``size`` elements."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    element_type = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[dtype]
    shapes: dict[str, tuple[int, list[int]]] = {
        "R": (element_type, []),
        "T": (TensorProto.INT64, []),
    }
    for name in ("X", "G", *STATES[call.name]):
        shapes[name] = (element_type, [size])
    inputs = [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(f"new {name}", element_type, [size])
        for name in ("X", *STATES[call.name])
    ]
    attributes = {
        name: value for name, value in call.arguments.items() if name not in (*INPUTS, "H")
    }
    node = helper.make_node(
        call.name,
        list(shapes),
        [output.name for output in outputs],
        domain=dialect.prefix,
        **attributes,
    )
    graph = helper.make_graph([node], "step", inputs, outputs)
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid(dialect.prefix, 1)]
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
