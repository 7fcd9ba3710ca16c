"""Record the training steps of side A, which needs nothing of side B."""

import copy
import sys
from typing import Any

import numpy as np

from . import limits
from .batches import batch_for_keras
from .program import Program
from .record import Record, Step, unchanged
from .shared import (
    NONE_TRAINED,
    TITLES,
    Batch,
    PairError,
    Put,
    refuse_nan,
    require_same_call,
    require_same_count,
)
from .steppers import Stepper, stepper

DTYPE = "float64"


def pytorch_side(program: Program, batch: Batch) -> Any:
    """The PyTorch model of a program, in float64."""
    from .in_pytorch import PytorchSide

    loss, _ = program.loss("pytorch", batch.targets)
    return PytorchSide(program.model("pytorch"), loss, DTYPE)


def keras_side(program: Program, targets: Any) -> Any:
    """The Keras model of a program, in Keras' global dtype."""
    import keras

    from .in_keras import KerasSide

    loss, _ = program.loss("keras", targets)
    return KerasSide(program.model("keras"), _in_dtype(loss, keras.config.floatx()))


def _in_dtype(loss: Any, dtype: str) -> Any:
    """A Keras loss object computes in the dtype in which it was made; the copy has ``dtype``."""
    if not hasattr(loss, "_dtype_policy"):
        return loss
    import keras

    changed = copy.copy(loss)
    changed._dtype_policy = keras.dtype_policies.get(dtype)
    return changed


def record_pytorch(program: Program, steps: int) -> Record:
    """Run the PyTorch side for some steps, and note what is needed to judge the other side."""
    import torch

    batch = program.batch("pytorch")
    side = pytorch_side(program, batch)
    record = _record(program, side, batch, steps)
    record.facts["torch"] = torch.__version__
    record.facts["parameters"] = sum(parameter.numel() for parameter in side.model.parameters())
    return record


def record_keras(program: Program, steps: int) -> Record:
    """Run the Keras side in the same way; in float64, to which it sets Keras for the time.

    ``batch()`` of a file with both models is in PyTorch's layout, otherwise in Keras'.
    """
    import keras

    from .in_keras import keras_dtype

    keras.backend.clear_session()  # or the names of layers count on
    with keras_dtype(DTYPE):
        batch = program.batch("keras")
        side = keras_side(program, batch.targets)
        if program.has("torch_model") and not program.has_own_batch("keras"):
            batch = batch_for_keras(batch, side.model)
        side.build(batch)
        side.require_dtype()
        record = _record(program, side, batch, steps)
        record.facts["keras"] = keras.__version__
        record.facts["parameters"] = side.model.count_params()
    return record


def _record(program: Program, side: Any, batch: Batch, steps: int) -> Record:
    if not side.trained:
        raise PairError(NONE_TRAINED[side.name])
    mover = stepper(side, program.optimizer(side.name), program.of_side(side.name, "clip"))
    record = Record(side.name, DTYPE, batch.inputs, batch.targets, batch.weights)
    record.trained = side.trained
    follows = mover.claimed() if mover else None
    record.facts = {
        "reference": side.name,
        "python": sys.version.split()[0],
        "loss": program.loss(side.name, batch.targets)[1],
        "optimizer": mover.title if mover else "",
        "rule": repr(follows.rule) if follows else "",
        "clipping": follows.clipping.to_dict() if follows and follows.clipping else None,
        "own batch": program.has_own_batch(side.name),
    }
    for number in range(steps if mover else 1):
        record.steps.append(_one_step(side, batch, mover, number))
        side.load(_after(record.steps[-1]))
    fixed = [name for name in record.steps[0].before if name not in record.trained]
    if side.name == "pytorch":
        fixed = side.buffers
    record.constants = unchanged(record.steps[0], fixed)
    return record


def _one_step(side: Any, batch: Batch, mover: Stepper | None, number: int) -> Step:
    step: Step = side.run(batch, masks=number)
    refuse_nan(step.calls, step.loss, TITLES[side.name])
    _note_responses(side, batch, step, number)
    if mover:
        weights = {name: step.before[name] for name in side.trained}
        step.update = mover.step(weights, step.gradients)
        step.update.rate = mover.rate
    side.load(step.before)
    return step


def _after(step: Step) -> dict[str, np.ndarray]:
    """All parameters and buffers at the start of the next step."""
    moved = step.update.after if step.update else {}
    return {**step.after_forward, **moved}


def _note_responses(side: Any, batch: Batch, step: Step, number: int) -> None:
    """Run again with weights, outputs and gradients nudged, and note how far each value moves."""
    random = np.random.default_rng(number)
    side.load({name: limits.nudged(array, random) for name, array in step.before.items()})

    def put(call: Any) -> Put | None:
        plain = require_same_call(TITLES[side.name], call, step.calls)
        gradient = None if plain.gradient is None else limits.nudged(plain.gradient, random)
        return Put(limits.nudged(plain.output, random), gradient)

    inputs = _nudged_tree(batch.inputs, random)
    again: Step = side.run(batch._replace(inputs=inputs), put, number)
    side.load(step.before)
    require_same_count(TITLES[side.name], again.calls, step.calls)
    for plain, moved in zip(step.calls, again.calls, strict=True):
        plain.output_response = limits.moved(plain.output, moved.output)
        plain.gradient_response = limits.moved(plain.gradient, moved.gradient)
    step.responses = {
        "loss": abs(step.loss - again.loss),
        "outputs": _moved_each(step.outputs, again.outputs),
        "output gradients": _moved_each(step.output_gradients, again.output_gradients),
        "gradients": _moved_by_name(step.gradients, again.gradients),
        "after forward": _moved_by_name(step.after_forward, again.after_forward),
    }


def _nudged_tree(tree: Any, random: np.random.Generator) -> Any:
    if isinstance(tree, dict):
        return {key: _nudged_tree(each, random) for key, each in tree.items()}
    if isinstance(tree, list):
        return [_nudged_tree(each, random) for each in tree]
    if tree is None:
        return None
    wide = tree.astype(np.float64) if tree.dtype.kind == "f" else tree
    return limits.nudged(wide, random)


def _moved_each(before: list[Any], after: list[Any]) -> list[float]:
    return [limits.moved(*pair) for pair in zip(before, after, strict=True)]


def _moved_by_name(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    return {name: limits.moved(array, after.get(name)) for name, array in before.items()}
