"""TensorFlow's own files hold our optimizer: training goes on from them with the same bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer, native
from samestep.reference import RULES, Adam, NAdam, Rule

pytestmark = pytest.mark.rung(2)

STEPS = 3
LATER_LR = 0.0625  # assigned after the first steps: a checkpoint must have it


class Training:
    """Two variables and their optimizer."""

    def __init__(self, rule: Rule, mode: str = "eager") -> None:
        shapes = ((4, 3), (5,))
        self.variables = [
            keras.Variable(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape), dtype="float32")
            for shape in shapes
        ]
        self.optimizer = Optimizer(rule)
        self.optimizer.build(self.variables)
        self.apply = native.in_mode(self.optimizer, mode)

    def train(self, first: int) -> None:
        """Take some steps, from step ``first`` on."""
        for step in range(first, first + STEPS):
            generator = np.random.default_rng(step)
            gradients = [generator.normal(size=variable.shape) for variable in self.variables]
            self.apply([tf.constant(gradient, tf.float32) for gradient in gradients])

    def bits(self) -> list[bytes]:
        """The bytes of all variables, the optimizer's included."""
        everything = [*self.variables, *self.optimizer.variables]
        return [np.asarray(variable.numpy()).tobytes() for variable in everything]

    def checkpoint(self) -> Any:
        """A checkpoint of the optimizer and of the variables."""
        values = {f"v{index}": v.value for index, v in enumerate(self.variables)}
        return tf.train.Checkpoint(optimizer=self.optimizer, **values)


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_training_goes_on_from_a_checkpoint(kind: type[Rule], tmp_path: Path) -> None:
    """With equal bits in every variable, and at the learning rate that was assigned."""
    unbroken = Training(kind())
    unbroken.train(0)
    unbroken.optimizer.learning_rate = LATER_LR
    path = unbroken.checkpoint().write(str(tmp_path / "checkpoint"))
    unbroken.train(STEPS)
    resumed = Training(kind())
    resumed.checkpoint().read(path).assert_consumed()
    resumed.train(STEPS)
    assert float(resumed.optimizer.learning_rate.numpy()) == LATER_LR
    assert resumed.bits() == unbroken.bits()


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_a_checkpoint_of_compiled_steps_is_that_of_eager_ones(mode: str, tmp_path: Path) -> None:
    """Training goes on in another mode, with equal bits."""
    unbroken, resumed = Training(Adam()), Training(Adam(), mode)
    unbroken.train(0)
    path = unbroken.checkpoint().write(str(tmp_path / "checkpoint"))
    unbroken.train(STEPS)
    resumed.checkpoint().read(path).assert_consumed()
    resumed.train(STEPS)
    assert resumed.bits() == unbroken.bits()


def test_the_learning_rate_of_a_checkpoint_has_every_digit(tmp_path: Path) -> None:
    """A double that float32 cannot hold."""
    training, resumed = Training(Adam(lr=0.1)), Training(Adam(lr=0.2))
    path = training.checkpoint().write(str(tmp_path / "checkpoint"))
    resumed.checkpoint().read(path).assert_consumed()
    assert float(resumed.optimizer.learning_rate.numpy()) == 0.1


@pytest.mark.parametrize("rule", [Adam(), NAdam()], ids=repr)
def test_a_saved_model_trains_as_the_live_one(rule: Rule, tmp_path: Path) -> None:
    """tf.saved_model.save writes the optimizer's variables and a function that steps."""

    class Module(tf.Module):
        """A training step that can be exported."""

        def __init__(self) -> None:
            super().__init__()
            self.theta = tf.Variable(np.linspace(-1, 1, 5), dtype=tf.float32)
            self.optimizer = Optimizer(rule)
            self.optimizer.build([self.theta])

        @tf.function(input_signature=[tf.TensorSpec([5], tf.float32)], autograph=False)
        def step(self, gradient: Any) -> Any:
            self.optimizer.apply([gradient], [self.theta])
            return tf.identity(self.theta)

    live = Module()
    live.step(tf.constant([1.0, -2.0, 3.0, 0.5, 0.0]))
    tf.saved_model.save(live, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    for _ in range(STEPS):
        gradient = tf.constant([0.5, 1.0, -1.0, 2.0, 0.25])
        assert loaded.step(gradient).numpy().tobytes() == live.step(gradient).numpy().tobytes()


def test_variables_keep_their_order() -> None:
    """The learning rate's comes after the iterations, as in Keras' own optimizers."""
    names = [variable.name for variable in Training(Adam()).optimizer.variables]
    assert names[:2] == [v.name for v in keras.optimizers.Adam().variables] == names[:2]
    assert names == ["iteration", "learning_rate", "steps", *names[3:]]
