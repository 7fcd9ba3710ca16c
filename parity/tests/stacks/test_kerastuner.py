"""KerasTuner searches hyperparameters of our optimizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras

from samestep.parity.tests.support.mnist_batches import examples
from samestep.parity.tests.support.replay_keras import RecordingOptimizer, copied
from samestep.parity.tests.support.require import require
from samestep.reference import Adam

keras_tuner = require("keras_tuner")

pytestmark = pytest.mark.filterwarnings("ignore:::keras_tuner")

BATCH, BATCHES, EPOCHS = 32, 6, 2
RATES = [1e-4, 1e-3, 1e-2]


@pytest.mark.parametrize("built", [True, False])
def test_each_trial_takes_the_steps_of_its_own_rule(built: bool, tmp_path: Path) -> None:
    """The best model is built again and loaded: its weights are where the rule led.

    Its optimizer must be built with it, else its state would be lost.
    """
    models: list[Any] = []

    def build(hp: Any) -> Any:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((784,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(10)]
        )
        rule = Adam(lr=hp.Choice("lr", RATES), beta1=hp.Float("beta1", 0.5, 0.9))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=RecordingOptimizer(rule), loss=loss, jit_compile=False)
        if built:
            model.optimizer.build(model.trainable_variables)
        models.append(model)
        return model

    tuner = keras_tuner.RandomSearch(
        build, objective="loss", max_trials=3, seed=1, directory=tmp_path, overwrite=True
    )
    images, labels = examples(BATCH * BATCHES)
    tuner.search(images, labels, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0)
    trained = [model for model in models if model.optimizer.log.rates]
    assert len(trained) == 3
    ends = []
    for model in trained:
        optimizer = model.optimizer
        assert set(optimizer.log.rates) == {optimizer.rule.lr}
        optimizer.log.check(model.trainable_variables, EPOCHS * BATCHES)
        ends.append([copied(variable) for variable in model.trainable_variables])
    if not built:
        with pytest.raises(ValueError, match=r"call optimizer.build\(model.trainable_variables\)"):
            tuner.get_best_models()
        return
    best = tuner.get_best_models()[0]
    values = tuner.get_best_hyperparameters()[0].values
    assert (best.optimizer.rule.lr, best.optimizer.rule.beta1) == (values["lr"], values["beta1"])
    (chosen,) = (
        index for index, model in enumerate(trained) if model.optimizer.rule == best.optimizer.rule
    )
    # KerasTuner keeps the best epoch
    assert int(best.optimizer.iterations) in [BATCHES, EPOCHS * BATCHES]
    histories = trained[chosen].optimizer.log.histories.values()
    epochs = [
        [history.replay()[end * BATCHES - 1] for history in histories]
        for end in range(1, EPOCHS + 1)
    ]
    weights = best.get_weights()
    assert any(
        all(np.array_equal(x, y) for x, y in zip(epoch, weights, strict=True)) for epoch in epochs
    )


def test_tuner_makes_a_copy_of_ours_for_each_trial(tmp_path: Path) -> None:
    """``Tuner(optimizer=ours)`` goes by our config."""
    ours = RecordingOptimizer(Adam(lr=1e-3, beta1=0.8))
    models: list[Any] = []

    class Keep(keras.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            self.model.optimizer.log.check(self.model.trainable_variables, BATCHES)
            models.append(self.model.optimizer)

        def __deepcopy__(self, memory: Any) -> "Keep":
            return self

    def build(hp: Any) -> Any:
        keras.utils.set_random_seed(0)
        units = hp.Choice("units", [10, 12])
        model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(units)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(loss=loss, jit_compile=False, run_eagerly=True)
        return model

    tuner = keras_tuner.GridSearch(
        build, objective="loss", optimizer=ours, directory=tmp_path, overwrite=True
    )
    images, labels = examples(BATCH * BATCHES)
    tuner.search(images, labels, epochs=1, batch_size=BATCH, verbose=0, callbacks=[Keep()])
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
    assert [optimizer.rule for optimizer in models] == [ours.rule] * 2
    assert ours.log.rates == []
