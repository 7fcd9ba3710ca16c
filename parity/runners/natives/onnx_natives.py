"""The training operators of ONNX under its reference evaluator, as a model of one node."""

from typing import Any

import numpy as np

from samestep.parity.measure.nearest_wrong import TensorTrial
from samestep.reference.dialects import Call, onnx
from samestep.reference.dialects.onnx import FIRST_T

NEEDS = ("onnx",)
TITLE = f"onnx.reference {onnx.prefix}"
STATES = {"Momentum": ["V"], "Adagrad": ["H"], "Adam": ["V", "H"]}  # in the order of the operator's inputs
INPUTS = ("R", "T")


def kinds(name: str) -> list[str]:
    """There is one."""
    return ["evaluator"]


def run(call: Call, kind: str, dtype: str, trial: TensorTrial) -> np.ndarray:
    """Where the operator goes, its outputs fed back as inputs."""
    session, states = _session(call, dtype, trial.start.size), STATES[call.name]
    values = {"X": trial.start.astype(dtype)}
    values |= {state: np.zeros_like(values["X"]) for state in states}
    if onnx.natives[call.name].state.get("G") in call.arguments:
        values["H"] += np.asarray(call.arguments["H"], dtype)
    thetas = []
    for t, (gradient, rate) in enumerate(zip(trial.gradients, trial.rates, strict=True), start=FIRST_T[call.name]):
        given = {"R": np.asarray(rate, dtype), "T": np.asarray(t, np.int64), "G": gradient.astype(dtype), **values}
        values = {name: np.asarray(value, dtype) for name, value in zip(values, session.run(None, given), strict=True)}
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
    node = helper.make_node(call.name, list(shapes), [o.name for o in outputs], domain=onnx.prefix, **attributes)
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid(onnx.prefix, 1)]
    return ReferenceEvaluator(
        helper.make_model(helper.make_graph([node], "step", inputs, outputs), opset_imports=opsets)
    )
