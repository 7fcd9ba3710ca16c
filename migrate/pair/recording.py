"""Record the training steps of side A, which needs nothing of side B."""

import copy
import sys
from collections.abc import Callable
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
    LeavesDtype,
    PairError,
    Put,
    refuse_nan,
    require_same_call,
    require_same_count,
)
from .steppers import Stepper, stepper

DTYPE = "float64"


def pytorch_side(program: Program, batch: Batch, dtype: str = DTYPE) -> Any:
    """The PyTorch model of a program, in a dtype."""
    from .in_pytorch import PytorchSide

    loss, _ = program.loss("pytorch", batch.targets)
    return PytorchSide(program.model("pytorch"), loss, dtype)


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
    """Run the PyTorch side for some steps, and note what is needed to judge the other side.

    In float64; in float32 if the model leaves float64, and then the record says so.
    """
    try:
        return _record_pytorch(program, steps, DTYPE)
    except LeavesDtype as error:
        record = _record_pytorch(program, steps, "float32")
        record.facts["why float32"] = str(error)
        return record


def _record_pytorch(program: Program, steps: int, dtype: str) -> Record:
    import torch

    batch = program.batch("pytorch")
    side = pytorch_side(program, batch, dtype)
    record = _record(program, side, batch, steps)
    record.facts["torch"] = torch.__version__
    record.facts["parameters"] = sum(parameter.numel() for parameter in side.model.parameters())
    return record


def record_keras(program: Program, steps: int) -> Record:
    """Run the Keras side in the same way; in float64, to which it sets Keras for the time.

    ``batch()`` of a file with both models is in PyTorch's layout, otherwise in Keras'.
    """
    import keras

    from .libraries import clear_session, keras_dtype

    clear_session()  # or the names of layers count on
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
    record = Record(side.name, side.dtype, batch.inputs, batch.targets, batch.weights)
    record.trained = side.trained
    follows = mover.claimed() if mover else None
    record.facts = {
        "reference": side.name,
        "python": sys.version.split()[0],
        "loss": program.loss(side.name, batch.targets)[1],
        "optimizer": mover.title if mover else "",
        "rule": repr(follows.rule) if follows else "",
        "clipping": follows.clipping.to_dict() if follows and follows.clipping else None,
        "schedule": follows.schedule.to_dict() if follows and follows.schedule else None,
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

    def nudged(array: np.ndarray) -> np.ndarray:
        return limits.nudged(array, random, side.dtype)

    def moved(before: Any, after: Any) -> float:
        return limits.moved(before, after, side.dtype)

    side.load({name: nudged(array) for name, array in step.before.items()})

    def put(call: Any) -> Put | None:
        plain = require_same_call(TITLES[side.name], call, step.calls)
        gradient = None if plain.gradient is None else nudged(plain.gradient)
        return Put(nudged(plain.output), gradient)

    inputs = _nudged_tree(batch.inputs, nudged)
    again: Step = side.run(batch._replace(inputs=inputs), put, number)
    side.load(step.before)
    require_same_count(TITLES[side.name], again.calls, step.calls)
    for plain, after in zip(step.calls, again.calls, strict=True):
        plain.output_response = moved(plain.output, after.output)
        plain.gradient_response = moved(plain.gradient, after.gradient)
    step.responses = {
        "loss": moved(np.array(step.loss), np.array(again.loss)),
        "outputs": _moved_each(moved, step.outputs, again.outputs),
        "output gradients": _moved_each(moved, step.output_gradients, again.output_gradients),
        "gradients": _moved_by_name(moved, step.gradients, again.gradients),
        "after forward": _moved_by_name(moved, step.after_forward, again.after_forward),
    }


def _nudged_tree(tree: Any, nudged: Callable[[np.ndarray], np.ndarray]) -> Any:
    if isinstance(tree, dict):
        return {key: _nudged_tree(each, nudged) for key, each in tree.items()}
    if isinstance(tree, list):
        return [_nudged_tree(each, nudged) for each in tree]
    if tree is None:
        return None
    return nudged(tree.astype(np.float64) if tree.dtype.kind == "f" else tree)


Moved = Callable[[Any, Any], float]


def _moved_each(moved: Moved, before: list[Any], after: list[Any]) -> list[float]:
    return [moved(*pair) for pair in zip(before, after, strict=True)]


def _moved_by_name(moved: Moved, before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    return {name: moved(array, after.get(name)) for name, array in before.items()}
