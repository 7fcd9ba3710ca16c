"""The new optimizers of Keras 2, in TensorFlow 2.11 to 2.15: they take the steps of Keras 3's."""

import numpy as np
import pytest

from samestep.parity.measure.nearest_wrong import designed_trial
from samestep.parity.measure.trajectory import Trajectory
from samestep.parity.measure.trial import Trial
from samestep.parity.natives import imitations
from samestep.parity.natives.check import compare_with
from samestep.parity.runners.one_tensor import OneTensor, run_each
from samestep.parity.tests.support.require import require
from samestep.reference import Adam, Rule, dialects

tf = require("tensorflow")
tf_keras = require("tf_keras")

pytestmark = pytest.mark.rung(3)

STEPS = 60
CALLS = [
    "SGD(0.1)",
    "SGD(0.1, 0.9)",
    "SGD(0.1, 0.9, True, 0.01)",
    "Adagrad(0.1)",
    "Adadelta(0.5)",
    "RMSprop(0.01)",
    "RMSprop(0.01, 0.8, 0.9, centered=True)",
    "Adam(0.01)",
    "Adam(0.01, amsgrad=True)",
    "AdamW(0.01, 0.1)",
    "Adamax(0.01)",
    "Nadam(0.01)",
    "Lion()",
    "Lion(0.01, weight_decay=0.1)",
    "Adafactor(0.01)",
    "Ftrl(0.1, l1_regularization_strength=0.01)",
]


def run(call: str, trial: Trial) -> Trajectory:
    """The trajectory of a new optimizer of tf_keras, in float32."""
    pasted = dialects.read_call(f"tf_keras.optimizers.{call}")

    def run_tensor(tensor: OneTensor) -> np.ndarray:
        variable = tf.Variable(tensor.start, dtype="float32")
        optimizer = getattr(tf_keras.optimizers, pasted.name)(**pasted.arguments)
        thetas = []
        for gradient, lr in tensor.steps:
            optimizer.learning_rate = lr
            optimizer.apply_gradients([(tf.constant(gradient.astype("float32")), variable)])
            thetas.append(variable.numpy())
        return np.array(thetas)

    return run_each(pasted.rule().lr, trial, "float32", run_tensor)


def as_keras_3(rule: Rule) -> Rule:
    """The rule as Keras 3 carries it out in float32: Adam's has a recorded deviation.

    It computes 1 - beta^t from betas rounded to float32.
    """
    return imitations.keras_float32(rule) if isinstance(rule, Adam) else rule


@pytest.mark.parametrize("call", CALLS)
def test_a_new_optimizer_of_keras_2_takes_the_steps_of_keras_3(call: str) -> None:
    """Within the rule's limit, its scalars in float32, as Keras computes them."""
    rule = dialects.read(f"tf_keras.optimizers.{call}")
    trial = designed_trial(rule, STEPS)
    actual = run(call, trial)
    assert compare_with(as_keras_3(rule), trial, actual, "float32", "float32").holds


def test_adam_has_the_deviation_of_keras_3() -> None:
    """Without it Adam's trajectory leaves the limit."""
    rule = dialects.read("tf_keras.optimizers.Adam(0.01)")
    trial = designed_trial(rule, STEPS)
    actual = run("Adam(0.01)", trial)
    assert not compare_with(rule, trial, actual, "float32", "float32").holds


def test_the_check_sees_another_rule() -> None:
    """The legacy Adagrad, whose epsilon stands elsewhere, at an epsilon that shows it."""
    new = dialects.read("tf_keras.optimizers.Adagrad(0.1, epsilon=1e-3)")
    legacy = dialects.read("tf_keras:Adagrad(0.1, epsilon=1e-3)")
    trial = designed_trial(new, STEPS)
    actual = run("Adagrad(0.1, epsilon=1e-3)", trial)
    assert compare_with(new, trial, actual, "float32", "float32").holds
    assert not compare_with(legacy, trial, actual, "float32", "float32").holds


def test_defaults_are_those_of_the_library() -> None:
    for name in ("SGD", "Adam", "AdamW", "Lion", "Adadelta", "Nadam", "RMSprop"):
        call = dialects.read_call(f"tf_keras.optimizers.{name}()")
        config = getattr(tf_keras.optimizers, name)().get_config()
        native = dialects.keras.natives[name]
        values = {**native.defaults, **call.arguments}
        for argument in native.arguments:
            assert np.float32(config[argument] or 0.0) == np.float32(values[argument])
