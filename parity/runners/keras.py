"""A live Keras optimizer on TensorFlow: a native, our adapter, or a user's own."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import samestep.frameworks.tensorflow
from samestep.frameworks.tensorflow import native
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import Trial
from samestep.reference import SGD, Rule
from samestep.reference.dialects import keras as dialect

from .contestants import Contestant


def maker(contestant: Contestant) -> Callable[[], keras.optimizers.Optimizer]:
    """What builds the optimizer of a native or an adapter."""
    if contestant.kind == "native":
        assert contestant.call
        call = contestant.call
        return lambda: getattr(keras.optimizers, call.name)(**call.arguments)
    assert contestant.rule
    rule = contestant.rule
    return lambda: samestep.frameworks.tensorflow.Optimizer(rule)


def run(make: Callable[[], Any], trial: Trial, dtype: str, mode: str = "eager") -> tuple[Trajectory, Rule | None]:
    """Where the optimizer goes in ``dtype``, and the rule that its class and config say it follows, if they do."""
    variables = [
        keras.Variable(array.astype(dtype), dtype=dtype, name=f"theta{i}")
        for i, array in enumerate(trial.start.values())
    ]
    optimizer = make()
    claimed, scheduled = claim(optimizer), callable(optimizer._learning_rate)
    lr = 0.0 if scheduled else float(np.asarray(optimizer.learning_rate))
    optimizer.build(variables)
    apply = native.in_mode(optimizer, mode)
    recorder = TrajectoryRecorder(trial, [variable.numpy() for variable in variables])
    for step in range(trial.steps):
        if not scheduled:
            optimizer.learning_rate = trial.rate(lr, step)
        gradients = [None if g is None else tf.constant(g) for g in trial.at(step, dtype)]
        if any(gradient is not None for gradient in gradients):
            apply(gradients)
        recorder.add([variable.numpy() for variable in variables], states(optimizer, variables))
    return recorder.trajectory(), claimed


def claim(optimizer: Any) -> Rule | None:
    """The rule that an optimizer says it follows: by its class, or the nearest above it, and its config."""
    if isinstance(optimizer, samestep.frameworks.tensorflow.Optimizer):
        return optimizer.rule.replace(lr=float(np.asarray(optimizer.learning_rate)))
    name, config = _native(optimizer), optimizer.get_config()
    try:
        return dialect.read(name, **{k: v for k, v in config.items() if k in dialect.natives[name].arguments})
    except (ValueError, KeyError):  # a schedule, or no class of Keras' own
        return None


def _native(optimizer: Any) -> str:
    """The name of Keras' own class that the optimizer is an instance of, if there is one that the dialect knows."""
    above = (kind.__name__ for kind in type(optimizer).__mro__ if kind.__module__.startswith("keras.src.optimizers."))
    return next((name for name in above if name in dialect.natives), "")


def states(optimizer: Any, variables: list[Any]) -> list[dict[str, np.ndarray]]:
    """What is kept for each variable, under our names where they are known. Keras' SGD turns the sign of its buffer."""
    if isinstance(optimizer, samestep.frameworks.tensorflow.Optimizer):
        return [{name: slot.numpy() for name, slot in slots.items()} for slots in optimizer._states]
    name = _native(optimizer)
    ours = {theirs: name for name, theirs in dialect.natives[name].state.items()} if name else {}
    sign = -1 if name and dialect.natives[name].rule is SGD else 1
    kept: list[dict[str, np.ndarray]] = [{} for _ in variables]
    for slot in optimizer.variables:  # it bears its variable's name, and then its own
        heads = [(len(v.name), i) for i, v in enumerate(variables) if slot.name.startswith(f"{v.name}_")]
        if heads:
            length, index = max(heads)
            own = slot.name[length + 1 :]
            kept[index][ours.get(own, own)] = sign * slot.numpy()
    return kept
