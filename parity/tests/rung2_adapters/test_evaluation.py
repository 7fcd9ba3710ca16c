"""``eval()`` and ``train()``: the averages that ScheduleFree and ASGD keep, in every framework."""

import copy
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf, torch

import samestep.frameworks.numpy
import samestep.frameworks.pytorch
import samestep.frameworks.tensorflow
from samestep.parity.measure import streams
from samestep.reference import ASGD, Adam, Rule, ScheduleFree, follow

pytestmark = pytest.mark.rung(2)

RULES: list[Rule] = [ScheduleFree(lr=0.1, beta1=0.7), ASGD(lr=0.1, t0=2), Adam(lr=0.1)]
START = np.linspace(-1, 1, 5)


class Trained:
    """One parameter in one framework, that takes steps."""

    def __init__(self, framework: str, rule: Rule, dtype: str) -> None:
        self.framework = framework
        start = START.astype(dtype)
        if framework == "numpy":
            self.theta: Any = start.copy()
            self.optimizer: Any = samestep.frameworks.numpy.Optimizer([self.theta], rule)
        elif framework == "torch":
            self.theta = torch.nn.Parameter(torch.tensor(start))
            self.optimizer = samestep.frameworks.pytorch.Optimizer([self.theta], rule)
        else:
            self.theta = tf.Variable(start)
            self.optimizer = samestep.frameworks.tensorflow.Optimizer(rule)
            self.optimizer.build([self.theta])

    def step(self, gradient: np.ndarray) -> None:
        if self.framework == "numpy":
            self.optimizer.step([gradient])
        elif self.framework == "torch":
            self.theta.grad = torch.tensor(gradient)
            self.optimizer.step()
        else:
            self.optimizer.apply([tf.constant(gradient)])

    def values(self) -> list[float]:
        theta = self.theta.detach() if self.framework == "torch" else self.theta
        return np.asarray(theta).tolist()


def gradients(dtype: str) -> list[np.ndarray]:
    return [streams.normal((5,), 3 + step).astype(dtype) for step in range(6)]


def test_worked_example() -> None:
    """Rate 0.1, beta1 0.9, gradients 1, from 1: y and x of the first four steps."""
    rule = ScheduleFree(lr=0.1, beta1=0.9)
    steps = list(follow(rule, np.ones(1), [np.ones(1)] * 4, np))
    assert [round(float(theta[0]), 6) for theta, _ in steps] == [0.9, 0.845, 0.79, 0.735]
    averages = [rule.average(theta, state) for theta, state in steps]
    assert [round(float(x[0]), 6) for x in averages] == [0.9, 0.85, 0.8, 0.75]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_evaluation_has_equal_bits_and_leaves_training_as_it_was(rule: Rule, dtype: str) -> None:
    """After each step; the second eval(), and a train() without it, change nothing."""
    every = [Trained(framework, rule, dtype) for framework in ("numpy", "torch", "keras")]
    unbroken = Trained("numpy", rule, dtype)
    for each in every:
        each.optimizer.eval()  # before the first step there is no average yet
        assert each.values() == START.astype(dtype).tolist()
        each.optimizer.train()
    for gradient in gradients(dtype):
        unbroken.step(gradient)
        averages = []
        for each in every:
            each.step(gradient)
            each.optimizer.eval()
            each.optimizer.eval()
            averages.append(each.values())
            each.optimizer.train()
            each.optimizer.train()
            assert each.values() == unbroken.values()
        assert averages[0] == averages[1] == averages[2]
    assert (averages[0] != unbroken.values()) == (not isinstance(rule, Adam))


@pytest.mark.parametrize("framework", ["numpy", "torch", "keras"])
def test_no_step_is_taken_from_an_average(framework: str) -> None:
    """And nothing is saved, which would go on from it."""
    each = Trained(framework, RULES[0], "float32")
    each.step(gradients("float32")[0])
    each.optimizer.eval()
    with pytest.raises(ValueError, match=r"train\(\) must be called before"):
        each.step(gradients("float32")[0])
    if framework == "torch":
        with pytest.raises(ValueError, match=r"train\(\) must be called before state_dict\(\)"):
            each.optimizer.state_dict()
    if framework == "keras":
        with pytest.raises(ValueError, match=r"train\(\) must be called before the optimizer is"):
            each.optimizer.save_own_variables({})
    each.optimizer.train()
    if framework == "torch":
        copied = copy.deepcopy(each.optimizer.state_dict())
        assert set(copied["state"][0]) == {"step", "z", "v"}
    each.step(gradients("float32")[1])


def test_every_group_of_torch_has_its_own_average() -> None:
    """A parameter without a gradient stays, and so do groups of any beta1."""
    params = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    groups = [{"params": params[:1]}, {"params": params[1:], "beta1": 0.5}]
    optimizer = samestep.frameworks.pytorch.Optimizer(groups, ScheduleFree(lr=0.1, beta1=0.9))
    for _ in range(3):
        for parameter in params[:2]:
            parameter.grad = torch.ones(2)
        optimizer.step()
    points = [parameter.tolist() for parameter in params]
    optimizer.eval()
    averages = [round(parameter.tolist()[0], 5) for parameter in params]
    assert averages == [0.8, 0.8, 1.0]
    assert points[2] == [1.0, 1.0]
    optimizer.train()
    assert [parameter.tolist() for parameter in params] == points


def test_keras_evaluates_averages_in_a_callback_and_can_be_saved(tmp_path: Any) -> None:
    """``fit`` goes on where it was, and a checkpoint of the optimizer can be written."""

    def trained(evaluate: bool) -> list[Any]:
        keras.utils.set_random_seed(1)
        layers = [keras.Input((3,)), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        optimizer = samestep.frameworks.tensorflow.Optimizer(ScheduleFree(lr=0.1))
        model.compile(optimizer=optimizer, loss="mse")
        callbacks = [
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda *_: optimizer.train(),
                on_epoch_end=lambda *_: optimizer.eval(),
            )
        ]
        x = np.arange(12.0).reshape(4, 3)
        used = callbacks if evaluate else []
        model.fit(x, np.ones(4), epochs=3, verbose=0, callbacks=used)
        during = model.get_weights()
        optimizer.train()
        tf.train.Checkpoint(optimizer=optimizer).write(str(tmp_path / "checkpoint"))
        return [during[0].tolist(), model.get_weights()[0].tolist()]

    with_averages, without = trained(True), trained(False)
    assert with_averages[1] == without[1] == without[0]
    assert with_averages[0] != without[0]
