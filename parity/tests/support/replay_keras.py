"""Record what a Keras training stack gives our optimizer, and compare with the rule's own steps."""

from typing import Any

import numpy as np

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer
from samestep.parity.tests.support.replay import History, Step, assert_same


def copied(variable: Any) -> np.ndarray:
    """A copy of the variable's value now."""
    with tf.init_scope():
        return np.array(keras.ops.convert_to_numpy(variable))


class Log:
    """What an optimizer was given: by variable index, its history; the rate of each step."""

    def __init__(self) -> None:
        self.histories: dict[int, History] = {}
        self.rates: list[float] = []

    def begin(self, variables: list[Any]) -> None:
        """Note where the variables, by index, start now."""
        for index, variable in enumerate(variables):
            self.histories[index] = History(copied(variable), [])

    def check(self, variables: list[Any], steps: int) -> None:
        """Assert that the variables are where the rule's own ``steps`` steps lead, to the bit."""
        assert len(self.rates) == steps
        assert_same(
            [history.end() for history in self.histories.values()],
            [copied(variable) for variable in variables],
        )


@keras.saving.register_keras_serializable(package="samestep-tests")
class RecordingOptimizer(Optimizer):
    """Our optimizer, unchanged; its ``log`` holds the gradients that Keras gave it.

    They are recorded after Keras' unscaling, accumulation and clipping. It needs
    ``jit_compile=False``, since XLA cannot call Python.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log = Log()

    def build(self, variables: list[Any]) -> None:
        """As ours."""
        super().build(variables)
        self.log.begin(variables)

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        indices = [self._get_variable_index(variable) for variable in trainable_variables]

        def note(lr: np.ndarray, *gradients: np.ndarray) -> None:
            self.log.rates.append(float(lr))
            for index, gradient in zip(indices, gradients, strict=True):
                step = Step(gradient.copy(), self.rule, float(lr))
                self.log.histories[index].steps.append(step)

        dense = [tf.convert_to_tensor(gradient) for gradient in grads]
        tf.numpy_function(note, [tf.cast(learning_rate, tf.float64), *dense], [])
        super()._backend_update_step(grads, trainable_variables, learning_rate)


class Weights(keras.callbacks.Callback):
    """The trainable weights after each batch, as ``after`` (batches, variables)."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Copy the weights."""
        self.after.append([copied(variable) for variable in self.model.trainable_variables])
