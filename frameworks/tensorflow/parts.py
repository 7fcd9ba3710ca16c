"""The parts that work with a rule, for Keras on TensorFlow.

::

    schedule = Schedule(Cosine(lr=0.1, steps=1000))
    model.compile(optimizer=Clipped(rule, ClipGlobalNorm(limit=1.0), learning_rate=schedule), ...)
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

import samestep.reference.parts
from samestep.reference import Rule
from samestep.reference.parts import Accumulation, Average, Clipping, restore

from . import namespace
from .optimizer import Optimizer, compute_dtype, dense

Gradients = Sequence[Any]


def clipped(clipping: Clipping, gradients: Gradients) -> list[Any]:
    """New gradients, clipped, of the same shapes and dtypes.

    None stays None; IndexedSlices are made dense. Computed in float64 if one of them is float64,
    else in float32, and rounded once to each dtype. Works eagerly, in graphs and under XLA; shapes
    must be known.
    """
    given = [None if g is None else dense(g) for g in gradients]
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
        rule: Rule,
        clipping: Clipping,
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
        if not isinstance(clipping, Clipping):
            raise ValueError(f"clipping must be one such as ClipNorm(limit=1.0), got {clipping!r}")
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


class Averages:
    """Averages of ``variables``; eager code only.

    Call ``update()`` after each step and read ``averages``. In ``model.fit`` use a
    ``LambdaCallback(on_train_batch_end=lambda *_: averages.update())``. Half precision is averaged
    in float32, so the averages of such variables are float32.
    """

    def __init__(self, variables: Sequence[Any], average: Average) -> None:
        self.variables = list(variables)
        self.average = average
        self.count = 0
        self.averages: list[tf.Tensor] = []

    def update(self) -> None:
        """Take in the variables as they are now; the first time copies them."""
        self.count += 1
        now = [_widened(variable) for variable in self.variables]
        self.averages = self.average.update(self.averages, now, self.count)


class Accumulator:
    """Collects gradients; eager code only.

    ``add`` gives the gradients to step with when they are due, else None. Half precision is summed
    in float32 and rounded once. A variable that had no gradient keeps None. In ``model.fit`` give
    the optimizer ``gradient_accumulation_steps`` instead.
    """

    def __init__(self, accumulation: Accumulation) -> None:
        self.accumulation = accumulation
        self.count = 0
        self.sums: list[tf.Tensor | None] = []
        self.dtypes: dict[int, tf.DType] = {}

    def add(self, gradients: Gradients) -> list[tf.Tensor | None] | None:
        """Take in one batch's gradients, in the same order and of the same dtypes each time."""
        self.count += 1
        self.dtypes |= {index: g.dtype for index, g in enumerate(gradients) if g is not None}
        wide = [None if g is None else _widened(dense(g)) for g in gradients]
        self.sums = self.accumulation.add(self.sums, wide) if self.sums else wide
        if not self.accumulation.due(self.count):
            return None
        finished = self.accumulation.finished(self.sums)
        self.sums = []
        return [None if g is None else tf.cast(g, self.dtypes[i]) for i, g in enumerate(finished)]


def _widened(value: Any) -> tf.Tensor:
    """The value of a variable or tensor now, half precision as float32."""
    tensor = tf.identity(tf.convert_to_tensor(value))
    return tf.cast(tensor, compute_dtype(tensor.dtype))
