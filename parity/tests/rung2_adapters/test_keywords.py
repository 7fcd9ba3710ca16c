"""What Keras does around a rule, by its keywords, it does around ours; and a config carries all of
it.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer
from samestep.reference import RULES, SGD, Adam, Decay, Muon, Rule

pytestmark = pytest.mark.rung(2)

KEYWORDS: list[dict[str, Any]] = [
    {"clipnorm": 0.5}, {"clipvalue": 0.25}, {"global_clipnorm": 0.5}, {"loss_scale_factor": 8.0},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
]  # fmt: skip
STEPS = 4


def take(optimizer: Any) -> list[list[float]]:
    """Where some steps take two variables."""
    variables = [keras.Variable(np.ones(3, np.float32)), keras.Variable(np.zeros(2, np.float32))]
    optimizer.build(variables)
    for step in range(STEPS):
        optimizer.apply([tf.constant([1.0, -2.0, step]), tf.constant([step, 4.0])])
    return [variable.numpy().tolist() for variable in variables]


@pytest.mark.parametrize("keywords", KEYWORDS, ids=lambda keywords: next(iter(keywords)))
def test_keywords_act_as_around_keras_own(keywords: dict[str, Any]) -> None:
    """On plain steps at rate 1, which round nothing more; and they do act."""
    ours = take(Optimizer(SGD(lr=1.0), **keywords))
    assert ours == take(keras.optimizers.SGD(1.0, **keywords))
    assert ours != take(Optimizer(SGD(lr=1.0)))


@pytest.mark.parametrize("keywords", KEYWORDS, ids=lambda keywords: next(iter(keywords)))
def test_config_carries_the_keywords(keywords: dict[str, Any]) -> None:
    """What is made of it takes the same steps."""
    optimizer = Optimizer(SGD(lr=1.0), **keywords)
    twin = Optimizer.from_config(optimizer.get_config())
    assert take(twin) == take(optimizer)


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_config_carries_zeros(kind: type[Rule]) -> None:
    """Of every hyperparameter that may be zero, one at a time."""
    for field in dataclasses.fields(kind):
        if field.metadata.get("interval", "").startswith("[0"):
            zero: dict[str, Any] = {field.name: 0}
            rule = kind(**zero)
            assert Optimizer.from_config(Optimizer(rule).get_config()).rule == rule, field.name


@pytest.mark.parametrize("decay", [Decay.COUPLED, Decay.DECOUPLED], ids=lambda decay: decay.name)
def test_excluded_variables_keep_their_weights(decay: Decay) -> None:
    """However it is coupled; another decays."""
    rule = Adam(lr=0.5, weight_decay=0.5, decay=decay)
    kept, other = (keras.Variable(np.ones(2, np.float32), name=name) for name in ("kept", "other"))
    optimizer = Optimizer(rule)
    optimizer.exclude_from_weight_decay(var_names=["kept"])
    optimizer.build([kept, other])
    optimizer.apply([tf.zeros(2), tf.zeros(2)])
    assert kept.numpy().tolist() == [1, 1]
    assert (other.numpy() < 1).all()


def test_decay_of_what_is_no_matrix_is_excluded_like_any_other() -> None:
    """Muon's has a number of its own, which Keras' Muon excludes as well."""
    ends = []
    for optimizer in (
        Optimizer(Muon(lr=0.5, adam_weight_decay=0.5)),
        keras.optimizers.Muon(0.5, adam_weight_decay=0.5, rms_rate=None),
    ):
        kept, other = (
            keras.Variable(np.ones(2, np.float32), name=name) for name in ("kept", "other")
        )
        optimizer.exclude_from_weight_decay(var_names=["kept"])
        optimizer.build([kept, other])
        optimizer.apply([tf.zeros(2), tf.zeros(2)])
        ends.append([kept.numpy().tolist(), other.numpy().tolist()])
    assert ends == [[[1, 1], [0.75, 0.75]]] * 2


def test_config_carries_a_schedule_at_every_step() -> None:
    """Not its rate at the time."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [1.0, 0.5, 0.25])
    optimizer = Optimizer(SGD(), learning_rate=schedule)
    assert (
        take(Optimizer.from_config(optimizer.get_config()))
        == take(optimizer)
        != take(Optimizer(SGD(lr=1.0)))
    )
