"""The parts that work with a rule, for Keras on TensorFlow.

::

    schedule = Schedule(Cosine(lr=0.1, steps=1000))
    model.compile(optimizer=Clipped(rule, ClipGlobalNorm(limit=1.0), learning_rate=schedule), ...)
"""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import samestep.reference.parts
from samestep.reference.checks import several
from samestep.reference.parts import (
    Accumulating,
    Accumulation,
    Average,
    Averaging,
    Clipping,
    LossScaling,
    Plateau,
    PlateauWatch,
    restore,
)
from samestep.reference.parts.kinds import (
    require_clipping,
    require_schedule,
)

from . import namespace
from .optimizer import Optimizer, compute_dtype, dense

Gradients = Sequence[Any]
TENSORS = "a list of tensors, None where there is none"
TENSOR_KINDS = (tf.Tensor, tf.Variable, tf.IndexedSlices, keras.Variable, np.ndarray)


def clipped(clipping: Clipping, gradients: Gradients) -> list[Any]:
    """New gradients, clipped, of the same shapes and dtypes.

    None stays None; IndexedSlices are made dense. Computed in float64 if one of them is float64,
    else in float32, and rounded once to each dtype. Works eagerly, in graphs and under XLA; shapes
    must be known.
    """
    require_clipping(clipping)
    listed = several("gradients", gradients, TENSOR_KINDS, TENSORS)
    given = [None if g is None else dense(g) for g in listed]
    dtypes = [g.dtype for g in given if g is not None]
    wide = tf.float64 if tf.float64 in dtypes else tf.float32
    widened = [None if g is None else tf.cast(g, wide) for g in given]
    pairs = zip(given, clipping.clip(widened, namespace), strict=True)
    return [None if g is None else tf.cast(new, g.dtype) for g, new in pairs]


@keras.saving.register_keras_serializable(package="samestep")
class Clipped(Optimizer):
    """``Optimizer`` with any of our clippings, where Keras clips: after accumulation.

    ``keras_options`` are as in ``Optimizer``; ValueError for Keras' own clipping among them.
    """

    def __init__(
        self,
        rule: Any = None,
        clipping: Any = None,
        learning_rate: Any = None,
        name: str = "samestep",
        **keras_options: Any,
    ) -> None:
        for option in ("clipnorm", "global_clipnorm", "clipvalue"):
            value = keras_options.get(option)
            if value is not None:
                raise ValueError(
                    f"clipping must be given once, got {clipping!r} and {option}={value!r}"
                )
        require_clipping(clipping)
        super().__init__(rule, learning_rate, name, **keras_options)
        self.clipping = clipping

    def get_config(self) -> dict[str, Any]:
        """The optimizer's, and the clipping as plain values."""
        return {**super().get_config(), "clipping": self.clipping.to_dict()}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Optimizer":
        """The inverse of ``get_config``."""
        restored = {**config, "clipping": restore(config["clipping"])}
        return super().from_config(restored, custom_objects)

    # Keras calls it where it clips by its own options.
    def _clip_gradients(self, grads: Gradients) -> list[Any]:
        return clipped(self.clipping, grads)


@keras.saving.register_keras_serializable(package="samestep")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as Keras', in float64: the double that the host computes, eagerly and in graphs.

    For our ``Optimizer`` or any of Keras'. Keras counts batches; with the optimizer's
    ``gradient_accumulation_steps`` given here, too, the schedule counts the optimizer's steps.
    """

    def __init__(
        self, schedule: samestep.reference.parts.Schedule, gradient_accumulation_steps: int = 1
    ) -> None:
        require_schedule(schedule)
        self.schedule = schedule
        self.accumulation = Accumulation(steps=gradient_accumulation_steps)

    @tf.autograph.experimental.do_not_convert
    def __call__(self, step: Any) -> Any:
        """The rate, a float64 tensor, after ``step`` = 0, 1, ... batches."""
        if tf.executing_eagerly():
            number = int(tf.convert_to_tensor(step)) // self.accumulation.steps + 1
            return tf.constant(self.schedule.rate(number), tf.float64)
        taken = tf.cast(tf.convert_to_tensor(step), tf.int64) // self.accumulation.steps
        return self.schedule.rate(taken + 1, namespace)

    def get_config(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schedule": self.schedule.to_dict(),
            "gradient_accumulation_steps": self.accumulation.steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """The inverse of ``get_config``."""
        return cls(restore(config["schedule"]), config["gradient_accumulation_steps"])


class PlateauCallback(keras.callbacks.Callback):
    """A plateau as a Keras callback: ``model.fit(..., callbacks=[PlateauCallback(plateau)])``.

    ``monitor`` is the logged value to watch. The optimizer needs a fixed learning rate, no
    schedule. Unlike Keras' ReduceLROnPlateau it goes on counting in a second ``fit``, and has a
    state that can be saved.
    """

    def __init__(self, plateau: Plateau, monitor: str = "val_loss") -> None:
        super().__init__()
        self.watch = PlateauWatch(plateau)
        self.monitor = monitor

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take in the monitored value of the epoch that has ended."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            logged = ", ".join(logs or {})
            warnings.warn(
                f"monitor must be one of the logged values ({logged}), got {self.monitor!r}; "
                "this epoch does not count",
                stacklevel=2,
            )
        elif self.watch.falls(value):
            optimizer = self.model.optimizer
            lr = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            optimizer.learning_rate = self.watch.plateau.lowered(lr)

    def state_dict(self) -> dict[str, Any]:
        """Plain values; the learning rate is the optimizer's."""
        return self.watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; ValueError if it was saved under another plateau."""
        self.watch.load_state_dict(state)


class LossScaler(LossScaling):
    """Scales losses: multiply the loss by ``scale``, and give the gradients to ``unscaled``.

    Eager code only. In ``model.fit`` use Keras' LossScaleOptimizer around our ``Optimizer``.

    ::

        gradients = scaler.unscaled(gradients)  # of scaler.scale * loss
        if gradients is not None:
            optimizer.apply(clipped(ClipGlobalNorm(limit=1.0), gradients))
    """

    def _finite(self, gradient: Any) -> bool:
        return bool(tf.reduce_all(tf.math.is_finite(dense(gradient))))

    def _times(self, gradient: Any, factor: float) -> tf.Tensor:
        return tf.cast(factor * _widened(dense(gradient)), gradient.dtype)


class Averages(Averaging):
    """Averages of ``variables``; eager code only.

    Call ``update()`` after each step and read ``averages``. In ``model.fit`` use a
    ``LambdaCallback(on_train_batch_end=lambda *_: averages.update())``. Half precision is averaged
    in float32, so the averages of such variables are float32. A state of ``state_dict()``, NumPy
    arrays and plain values, goes on exactly.
    """

    def __init__(self, variables: Sequence[Any], average: Average) -> None:
        due = "a list of variables such as model.trainable_variables"
        super().__init__(several("variables", variables, TENSOR_KINDS, due), average)
        self.variables = self.parameters

    def _wide(self, parameter: Any) -> tf.Tensor:
        return _widened(parameter)

    def _saved(self, average: tf.Tensor) -> Any:
        return average.numpy()


class Accumulator(Accumulating):
    """Collects gradients; eager code only.

    ``add`` gives the gradients to step with when they are due, else None. After the last batch
    call ``finish()``, which gives those of an incomplete window. Half precision is summed in
    float32 and rounded once. A variable that had no gradient keeps None. In ``model.fit`` give the
    optimizer ``gradient_accumulation_steps`` instead.
    """

    kinds = TENSOR_KINDS
    due = TENSORS

    def _wide(self, gradient: Any) -> tf.Tensor:
        return _widened(dense(gradient))

    def _narrow(self, gradient: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.cast(gradient, dtype)

    def _dtype(self, name: str) -> tf.DType:
        return tf.as_dtype(name)

    def _saved(self, total: tf.Tensor) -> Any:
        return total.numpy()


def _widened(value: Any) -> tf.Tensor:
    """The value of a variable or tensor now, half precision as float32."""
    tensor = tf.identity(tf.convert_to_tensor(value))
    return tf.cast(tensor, compute_dtype(tensor.dtype))
