"""Keras' callbacks, loss scaling and averages around our optimizer, in ``model.fit``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer
from samestep.parity.tests.support.mnist_batches import examples
from samestep.parity.tests.support.replay import assert_same
from samestep.parity.tests.support.replay_keras import RecordingOptimizer, Weights, copied
from samestep.reference import SGD, Adam, Decay

RULE = Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED)
BATCH, BATCHES = 32, 6


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()


def network() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )


def compiled(optimizer: Any, **options: Any) -> Any:
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, **{"jit_compile": False, **options})
    return model


def fit(model: Any, epochs: int = 3, **options: Any) -> Any:
    images, labels = examples(BATCH * BATCHES)
    plain = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    return model.fit(images, labels, epochs=epochs, **plain, **options)


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipnorm": 0.05},
        {"global_clipnorm": 0.1},
        {"clipvalue": 1e-3},
        {"gradient_accumulation_steps": 3},
    ],
    ids=str,
)
def test_fit_takes_the_rules_steps(options: dict[str, Any], eager: bool) -> None:
    optimizer = RecordingOptimizer(RULE, **options)
    model = compiled(optimizer, run_eagerly=eager)
    fit(model)
    steps = 3 * BATCHES // options.get("gradient_accumulation_steps", 1)
    optimizer.log.check(model.trainable_variables, steps)


def test_plateau_callback_lowers_the_rate_in_double() -> None:
    optimizer = RecordingOptimizer(RULE)
    model = compiled(optimizer)
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.1, patience=1, min_delta=1e3, min_lr=0.0
    )
    fit(model, 4, callbacks=[callback])
    optimizer.log.check(model.trainable_variables, 4 * BATCHES)
    rates = [RULE.lr, RULE.lr, RULE.lr * 0.1, RULE.lr * 0.1 * 0.1]
    assert optimizer.log.rates == np.repeat(rates, BATCHES).tolist()


def test_scheduler_callback_sets_the_rate() -> None:
    optimizer = RecordingOptimizer(RULE)
    model = compiled(optimizer)
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / (epoch + 1))
    fit(model, 3, callbacks=[callback])
    optimizer.log.check(model.trainable_variables, 3 * BATCHES)
    rates = [RULE.lr, RULE.lr / 2, RULE.lr / 2 / 3]
    assert optimizer.log.rates == np.repeat(rates, BATCHES).tolist()


def test_schedule_of_keras_gives_each_step_its_rate() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 3 * BATCHES, warmup_target=1e-2, warmup_steps=5
    )
    optimizer = RecordingOptimizer(RULE, schedule)
    model = compiled(optimizer)
    fit(model)
    optimizer.log.check(model.trainable_variables, 3 * BATCHES)
    np.testing.assert_array_max_ulp(
        np.float32(optimizer.log.rates), np.float32([schedule(n) for n in range(3 * BATCHES)]), 2
    )


def test_rate_is_assigned_between_fits() -> None:
    optimizer = RecordingOptimizer(RULE)
    model = compiled(optimizer)
    fit(model, 1)
    model.optimizer.learning_rate = 1e-4
    fit(model, 1)
    optimizer.log.check(model.trainable_variables, 2 * BATCHES)
    assert optimizer.log.rates == [1e-3] * BATCHES + [1e-4] * BATCHES


@pytest.mark.parametrize("ending", ["model.keras", "model.weights.h5"])
def test_checkpoint_callback_saves_what_goes_on(ending: str, tmp_path: Path) -> None:
    """A model that is loaded from the second epoch's file ends as the unbroken one."""
    unbroken = compiled(RecordingOptimizer(RULE))
    path = tmp_path / ending
    callback = keras.callbacks.ModelCheckpoint(
        str(path), save_weights_only=ending.endswith(".h5"), save_freq=2 * BATCHES
    )
    fit(unbroken, 3, callbacks=[callback])
    unbroken.optimizer.log.check(unbroken.trainable_variables, 3 * BATCHES)
    if ending.endswith(".h5"):
        resumed = compiled(RecordingOptimizer(RULE))
        resumed.optimizer.build(resumed.trainable_variables)
        resumed.load_weights(path)
    else:
        resumed = keras.models.load_model(path)
    assert resumed.optimizer.rule == RULE
    resumed.optimizer.log.begin(resumed.trainable_variables)
    fit(resumed, 1)
    assert_same(unbroken.get_weights(), resumed.get_weights())
    assert len(resumed.optimizer.log.rates) == BATCHES


class Interrupt(keras.callbacks.Callback):
    """Stops the process's training in the middle of an epoch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.log.rates and len(self.model.optimizer.log.rates) == BATCHES + 4:
            raise KeyboardInterrupt


def test_interrupted_training_is_restored(tmp_path: Path) -> None:
    """BackupAndRestore in a new model: it ends as the unbroken one, which is the rule's."""
    unbroken = compiled(RecordingOptimizer(RULE))
    fit(unbroken, 3)
    unbroken.optimizer.log.check(unbroken.trainable_variables, 3 * BATCHES)

    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(str(tmp_path))

    first = compiled(RecordingOptimizer(RULE))
    with pytest.raises(KeyboardInterrupt):
        fit(first, 3, callbacks=[backup(), Interrupt()])
    second = compiled(RecordingOptimizer(RULE))
    fit(second, 3, callbacks=[backup()])
    assert len(second.optimizer.log.rates) == 2 * BATCHES
    assert_same(unbroken.get_weights(), second.get_weights())


def test_early_stopping_restores_the_best_weights() -> None:
    """The weights are those of the first epoch, where the rule's own steps led."""
    optimizer = RecordingOptimizer(RULE)
    model = compiled(optimizer)
    callback = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=1, restore_best_weights=True
    )
    fit(model, 9, callbacks=[callback])
    assert len(optimizer.log.rates) == 2 * BATCHES
    assert_same(
        [history.replay()[BATCHES - 1] for history in optimizer.log.histories.values()],
        [copied(variable) for variable in model.trainable_variables],
    )


@pytest.mark.parametrize("scale", [8.0, 2.0**40])
def test_mixed_float16_scales_the_loss_around_ours(scale: float) -> None:
    """A scale too large is halved until gradients are finite; skipped steps are not counted."""
    keras.config.set_dtype_policy("mixed_float16")
    inner = RecordingOptimizer(RULE)
    wrapped = keras.optimizers.LossScaleOptimizer(
        inner, initial_scale=scale, dynamic_growth_steps=4
    )
    model = compiled(wrapped)
    watch = Weights()
    fit(model, 6, callbacks=[watch])
    taken = len(inner.log.rates)
    assert (taken == 6 * BATCHES) == (scale < 2.0**20)
    assert int(inner.iterations) == taken
    inner.log.check(model.trainable_variables, taken)
    assert model.trainable_variables[0].dtype == "float32"


def test_mixed_float16_wraps_ours_by_itself() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    inner = RecordingOptimizer(RULE)
    model = compiled(inner)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.optimizer.learning_rate = 1e-4
    fit(model, 2, callbacks=[keras.callbacks.LearningRateScheduler(lambda e, lr: lr / (1 + e))])
    inner.log.check(model.trainable_variables, 2 * BATCHES)
    assert inner.log.rates == np.repeat([1e-4, 0.5e-4], BATCHES).tolist()


@pytest.mark.parametrize("scaled", [False, True])
def test_moving_average_is_taken_of_the_rules_own_weights(scaled: bool) -> None:
    """``use_ema``: at the end of ``fit`` the weights are the average of where the steps led."""
    if scaled:
        keras.config.set_dtype_policy("mixed_float16")
    inner = RecordingOptimizer(RULE, use_ema=True, ema_momentum=0.9)
    model = compiled(inner)
    watch = Weights()
    fit(model, 2, callbacks=[watch])
    replayed = [history.replay() for history in inner.log.histories.values()]
    for step, weights in enumerate(watch.after):
        assert_same([steps[step] for steps in replayed], weights)
    averages = []
    keep, take = np.float32(0.9), np.float32(1 - np.float32(0.9))
    for steps in replayed:
        average = steps[0]
        for theta in steps[1:]:
            average = keep * average + take * theta
        averages.append(average)
    assert_same(averages, [copied(variable) for variable in model.trainable_variables])


def test_moving_average_overwrites_the_weights() -> None:
    """Every fourth step the weights become the average, and the rule's steps go on from there."""
    inner = RecordingOptimizer(
        SGD(lr=0.1), use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=4
    )
    model = compiled(inner)
    watch = Weights()
    fit(model, 2, callbacks=[watch])
    half = np.float32(0.5)
    for index, history in enumerate(inner.log.histories.values()):
        theta, average = history.start, None
        for number, step in enumerate(history.steps, start=1):
            theta = theta - np.float32(0.1) * step.gradient
            average = theta if average is None else half * average + half * theta
            theta = average if number % 4 == 0 else theta
            assert_same([theta], [watch.after[number - 1][index]])


class StoringModel(keras.Sequential):
    """Keeps its last gradients in weights, so that XLA can compile the whole step."""

    def train_step(self, data: Any) -> Any:
        images, labels = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(images, labels, self(images, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        for slot, gradient in zip(self.slots, gradients, strict=True):
            slot.assign(gradient)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


@pytest.mark.parametrize("options", [{}, {"use_ema": True}], ids=str)
def test_fit_under_xla_takes_the_rules_steps(options: dict[str, Any]) -> None:
    from samestep.parity.tests.support.replay import History, Step

    keras.utils.set_random_seed(0)
    model = StoringModel(
        [keras.Input((784,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(10)]
    )
    model.slots = [
        model.add_weight(shape=v.shape, initializer="zeros", trainable=False, name=f"slot{n}")
        for n, v in enumerate(model.trainable_variables)
    ]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=Optimizer(RULE, **options), loss=loss, jit_compile=True)
    histories = [History(copied(v), []) for v in model.trainable_variables]
    watch = Weights()

    def note(batch: int, logs: Any) -> None:
        for history, slot in zip(histories, model.slots, strict=True):
            history.steps.append(Step(copied(slot), RULE, RULE.lr))

    fit(model, 2, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=note), watch])
    replayed = [history.replay() for history in histories]
    for step, weights in enumerate(watch.after):
        assert_same([steps[step] for steps in replayed], weights)
