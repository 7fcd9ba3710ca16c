"""Optimizers of Keras on TensorFlow: natives, our adapter, or the user's own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import samestep.frameworks.tensorflow
from samestep.frameworks.tensorflow import native as natives
from samestep.parity.measure.dtypes import numpy_dtype
from samestep.parity.measure.trajectory import Trajectory, TrajectoryRecorder
from samestep.parity.measure.trial import Trial
from samestep.reference import SGD, Rule
from samestep.reference.dialects import Call
from samestep.reference.dialects import keras as dialect

from . import Native
from .result import RunOptions, RunResult

MODES = ("eager", "graph")  # of the user's optimizers: as ``model.fit`` runs them, and eagerly
# natives that move weights of Keras' global dtype alone: reproductions/keras_muon_dtype.py
NEEDS_FLOATX = ("Muon",)

EAGERLY = RunOptions("eager")

Make = Callable[[], Any]  # builds the optimizer


def is_optimizer(candidate: Any) -> bool:
    """True for a Keras optimizer."""
    return isinstance(candidate, keras.optimizers.Optimizer)


def native_maker(call: Call) -> Make:
    """The function that builds a native."""
    return lambda: getattr(keras.optimizers, call.name)(**call.arguments)


def adapter_maker(rule: Rule) -> Make:
    """The function that builds our adapter of a rule."""
    return lambda: samestep.frameworks.tensorflow.Optimizer(rule)


def run_native(native: Native, trial: Trial, dtype: str, each_step: str = "") -> Trajectory:
    """The trajectory of a native; ``each_step`` is code of ours for the optimizer, run before each
    step.
    """
    return run_native_with(
        native, trial, dtype, RunOptions(native.mode, each_step=each_step)
    ).trajectory


def run_native_with(native: Native, trial: Trial, dtype: str, options: RunOptions) -> RunResult:
    """Run a native with all the options that a run may have."""
    with floatx(native.call, dtype):
        return run(native_maker(native.call), trial, dtype, options)


@contextlib.contextmanager
def floatx(call: Call, dtype: str) -> Iterator[None]:
    """Make ``dtype`` Keras' global dtype for a while, if the native needs that."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype if call.name in NEEDS_FLOATX else before)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def first_rate(make: Make) -> float | None:
    """The learning rate that the optimizer starts with; None if it follows a schedule of its
    own.
    """
    return _own_rate(make())


def _own_rate(optimizer: Any) -> float | None:
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) or callable(rate):
        return None
    return float(np.asarray(optimizer.learning_rate))


def run(make: Make, trial: Trial, dtype: str, options: RunOptions = EAGERLY) -> RunResult:
    """The optimizer's trajectory in ``dtype``, and the rule that its class and config say it
    follows.
    """
    variables = [
        keras.Variable(start.astype(numpy_dtype(dtype)), dtype=dtype, name=f"theta{index}")
        for index, start in enumerate(trial.start.values())
    ]
    optimizer = make()
    stepper = _Stepper(optimizer, variables, trial, dtype, options)
    recorder = TrajectoryRecorder(trial, [variable.numpy() for variable in variables])
    for step in range(trial.steps):
        stepper.take(step)
        recorder.add([variable.numpy() for variable in variables], states(optimizer, variables))
        stepper.disturb_state()
    return RunResult(recorder.trajectory(), "tensorflow", stepper.claimed_rule, stepper.rate)


class _Stepper:
    """Takes the steps of one run."""

    def __init__(
        self, optimizer: Any, variables: list[Any], trial: Trial, dtype: str, options: RunOptions
    ) -> None:
        self.optimizer = optimizer
        self.variables = variables
        self.trial = trial
        self.dtype = dtype
        self.options = options
        self.claimed_rule = claimed_rule(optimizer)
        self.rate = _own_rate(optimizer)
        self.rate_before = trial.rate_at(self.rate or 0.0, 0)
        optimizer.build(variables)
        if "epsilon.assign" in options.each_step:
            optimizer.epsilon = tf.Variable(optimizer.epsilon, dtype=dtype)
        self.apply = natives.in_mode(optimizer, options.mode or "eager")

    def take(self, step: int) -> None:
        """Set the learning rate and take a step (counted from 0), unless no tensor has a
        gradient.
        """
        if self.rate is not None:
            self.optimizer.learning_rate = self.trial.rate_at(self.rate, step)
        if self.options.each_step:
            self._run_each_step(step)
        gradients = self._gradients(step)
        if any(gradient is not None for gradient in gradients):
            self.apply(gradients)

    def _run_each_step(self, step: int) -> None:
        lr = self.trial.rate_at(self.rate or 0.0, step)
        names = {
            "optimizer": self.optimizer,
            "t": step + 1,
            "lr": lr,
            "lr_before": self.rate_before,
        }
        exec(self.options.each_step, names)
        self.rate_before = lr

    def _gradients(self, step: int) -> list[Any]:
        disturb = self.options.disturbance
        gradients: list[Any] = []
        for name, dense in zip(
            self.trial.start, self.trial.gradients_at(step, self.dtype), strict=True
        ):
            if dense is None:
                gradients.append(None)
            elif name in self.trial.sparse:
                gradients.append(self._sparse(name, step, dense.shape))
            else:
                gradients.append(tf.constant(disturb(dense) if disturb else dense))
        return gradients

    def _sparse(self, name: str, step: int, shape: tuple[int, ...]) -> tf.IndexedSlices:
        gradient = self.trial.sparse[name][step]
        values = tf.constant(gradient.values.astype(numpy_dtype(self.dtype)))
        return tf.IndexedSlices(values, tf.constant(gradient.rows), tf.constant(shape))

    def disturb_state(self) -> None:
        """Disturb the variables and all arrays of the state, if the run is a disturbed one."""
        disturb = self.options.disturbance
        if disturb is None:
            return
        arrays = [
            v for v in self.optimizer.variables if v.shape and keras.backend.is_float_dtype(v.dtype)
        ]
        for variable in (*self.variables, *arrays):
            variable.assign(disturb(variable.numpy()))


def claimed_rule(optimizer: Any) -> Rule | None:
    """The rule that an optimizer says it follows: by its class, or the nearest known class above,
    and its config.
    """
    if isinstance(optimizer, samestep.frameworks.tensorflow.Optimizer):
        return optimizer.rule.replace(lr=float(np.asarray(optimizer.learning_rate)))
    name = _native_name(optimizer)
    if not name:
        return None
    arguments = dialect.natives[name].arguments
    try:
        return dialect.read(
            name, **{k: v for k, v in optimizer.get_config().items() if k in arguments}
        )
    except ValueError:  # a schedule
        return None


def _native_name(optimizer: Any) -> str:
    """The name of Keras' own class that the optimizer is an instance of, if the dialect knows
    it.
    """
    bases = (
        kind.__name__
        for kind in type(optimizer).__mro__
        if kind.__module__.startswith("keras.src.optimizers.")
    )
    return next((name for name in bases if name in dialect.natives), "")


def states(optimizer: Any, variables: Sequence[Any]) -> list[dict[str, np.ndarray]]:
    """The state of each variable, under our names where they are known.

    Keras' SGD turns the sign of its buffer.
    """
    if isinstance(optimizer, samestep.frameworks.tensorflow.Optimizer):
        return [{key: slot.numpy() for key, slot in slots.items()} for slots in optimizer._states]
    name = _native_name(optimizer)
    our_names = (
        {theirs: ours for ours, theirs in dialect.natives[name].state.items()} if name else {}
    )
    sign = -1 if name and dialect.natives[name].rule is SGD else 1
    collected: list[dict[str, np.ndarray]] = [{} for _ in variables]
    # a slot is called after its variable, and then by its own name
    for slot in optimizer.variables:
        owners = [
            (len(v.name), i) for i, v in enumerate(variables) if slot.name.startswith(f"{v.name}_")
        ]
        if owners:
            length, index = max(owners)
            own_name = slot.name[length + 1 :]
            collected[index][our_names.get(own_name, own_name)] = sign * slot.numpy()
    return collected
