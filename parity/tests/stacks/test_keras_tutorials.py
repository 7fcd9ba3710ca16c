"""Scripts in the style of Keras' and TensorFlow's tutorials, with our optimizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samestep.parity.tests.support.frameworks import keras, tf

from samestep.frameworks.tensorflow import Optimizer
from samestep.parity.tests.support.mnist_batches import batches, examples
from samestep.parity.tests.support.replay import History, Step, assert_same
from samestep.parity.tests.support.replay_keras import RecordingOptimizer, copied
from samestep.reference import LAMB, SGD, Adadelta, Adam, Decay, Lion, Muon, RMSprop, Rule

RULES: list[Rule] = [
    SGD(lr=0.1),
    SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    Adam(lr=1e-3, weight_decay=1e-2, decay=Decay.DECOUPLED),
    RMSprop(lr=1e-3, centered=True),
    Adadelta(lr=1.0),
    Lion(lr=1e-4, weight_decay=0.1),
    LAMB(lr=1e-3),
]
RULE = Adam(lr=1e-3)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_beginners_quickstart(rule: Rule, tmp_path: Path) -> None:
    """``compile``, ``fit``, ``evaluate``, ``save``, ``load_model``, ``fit``."""
    images, labels = examples(320)
    model = network()
    model.compile(
        optimizer=RecordingOptimizer(rule), loss=LOSS, metrics=["accuracy"], jit_compile=False
    )
    model.fit(images, labels, epochs=2, verbose=0)
    model.evaluate(images, labels, verbose=0)
    model.optimizer.log.check(model.trainable_variables, 20)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.rule == rule
    first = [history.steps for history in model.optimizer.log.histories.values()]
    loaded.fit(images, labels, epochs=1, verbose=0)
    log = loaded.optimizer.log
    for index, steps in enumerate(first):
        whole = History(model.optimizer.log.histories[index].start, [*steps, *_steps(log, index)])
        assert_same([whole.end()], [copied(loaded.trainable_variables[index])])


def _steps(log: Any, index: int) -> list[Step]:
    return log.histories[index].steps


def test_model_compiles_and_fits_as_users_write_it() -> None:
    """With every default of Keras, XLA or not as it chooses; twice, to the same bits."""
    images, labels = examples(320)
    ends = []
    for _ in range(2):
        model = network()
        model.compile(optimizer=Optimizer(RULE), loss=LOSS, metrics=["accuracy"])
        model.fit(images, labels, epochs=1, verbose=0, validation_split=0.1)
        ends.append(model.get_weights())
    assert_same(*ends)
    assert not np.array_equal(ends[0][0], network().get_weights()[0])


def test_cloned_model_takes_a_copy_of_the_optimizer() -> None:
    """``clone_model``, and an optimizer made of the first one's config."""
    images, labels = examples(160)
    model = network()
    model.compile(optimizer=RecordingOptimizer(RULE), loss=LOSS, jit_compile=False)
    model.fit(images, labels, verbose=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    config = model.optimizer.get_config()
    clone.compile(optimizer=RecordingOptimizer.from_config(config), loss=LOSS, jit_compile=False)
    clone.fit(images, labels, verbose=0)
    clone.optimizer.log.check(clone.trainable_variables, 5)
    model.optimizer.log.check(model.trainable_variables, 5)


@pytest.mark.parametrize("how", ["eager", "graph", "xla"])
def test_custom_loop_with_gradient_tape(how: str) -> None:
    """The gradients come out of the step, so that XLA may compile all of it."""
    model, optimizer = network(), Optimizer(RULE)

    def train_step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = LOSS(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return gradients

    if how != "eager":
        optimizer.build(model.trainable_variables)
        train_step = tf.function(train_step, jit_compile=how == "xla")
    histories = [History(copied(variable), []) for variable in model.trainable_variables]
    for images, labels in batches(8):
        gradients = train_step(tf.constant(images), tf.constant(labels))
        for history, gradient in zip(histories, gradients, strict=True):
            history.steps.append(Step(gradient.numpy(), RULE, RULE.lr))
    assert_same(
        [history.end() for history in histories],
        [copied(variable) for variable in model.trainable_variables],
    )


def test_graph_builds_the_optimizer_in_its_first_trace() -> None:
    """As most scripts have it: nobody calls ``optimizer.build``."""
    model, optimizer = network(), Optimizer(RULE)

    @tf.function
    def train_step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = LOSS(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return gradients

    histories = [History(copied(variable), []) for variable in model.trainable_variables]
    for images, labels in batches(5):
        gradients = train_step(tf.constant(images), tf.constant(labels))
        for history, gradient in zip(histories, gradients, strict=True):
            history.steps.append(Step(gradient.numpy(), RULE, RULE.lr))
    assert_same(
        [history.end() for history in histories],
        [copied(variable) for variable in model.trainable_variables],
    )


class Adversaries(keras.Model):
    """A GAN in the style of Keras' guide: two optimizers in ``compile``, both in ``train_step``."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(0)
        self.generator = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(784, "sigmoid")]
        )
        self.discriminator = keras.Sequential(
            [keras.Input((784,)), keras.layers.Dense(32, "leaky_relu"), keras.layers.Dense(1)]
        )
        self.seed = keras.random.SeedGenerator(1)
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
        super().compile(jit_compile=False)
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer

    def train_step(self, images: Any) -> dict[str, Any]:
        size = keras.ops.shape(images)[0]
        noise = keras.random.normal((size, 8), seed=self.seed)
        labels = keras.ops.concatenate([keras.ops.ones((size, 1)), keras.ops.zeros((size, 1))])
        both = keras.ops.concatenate([self.generator(noise), images])
        with tf.GradientTape() as tape:
            d_loss = self.entropy(labels, self.discriminator(both))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)
        with tf.GradientTape() as tape:
            judged = self.discriminator(self.generator(noise))
            g_loss = self.entropy(keras.ops.zeros((size, 1)), judged)
        weights = self.generator.trainable_weights
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        return {"d_loss": d_loss, "g_loss": g_loss}


def test_two_optimizers_of_a_gan() -> None:
    rule = Adam(lr=3e-4, beta1=0.5)
    model = Adversaries()
    model.compile(RecordingOptimizer(rule), RecordingOptimizer(rule))
    images, _ = examples(256)
    model.fit(images, batch_size=32, epochs=1, verbose=0)
    model.d_optimizer.log.check(model.discriminator.trainable_variables, 8)
    model.g_optimizer.log.check(model.generator.trainable_variables, 8)


def test_fine_tuning_after_unfreezing() -> None:
    """As in the guide: train the head, unfreeze, compile again with a small rate."""
    images, labels = examples(160)
    model = network()
    model.layers[0].trainable = False
    model.compile(optimizer=RecordingOptimizer(RULE), loss=LOSS, jit_compile=False)
    frozen = copied(model.layers[0].kernel)
    model.fit(images, labels, verbose=0)
    model.optimizer.log.check(model.trainable_variables, 5)
    assert_same([frozen], [copied(model.layers[0].kernel)])
    model.layers[0].trainable = True
    model.compile(
        optimizer=RecordingOptimizer(RULE, learning_rate=1e-5), loss=LOSS, jit_compile=False
    )
    model.fit(images, labels, verbose=0)
    model.optimizer.log.check(model.trainable_variables, 5)
    assert set(model.optimizer.log.rates) == {1e-5}


def test_biases_and_norms_are_excluded_from_decay() -> None:
    rule = Adam(lr=1e-3, weight_decay=0.1, decay=Decay.DECOUPLED)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(4, 3, strides=2),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(10),
        ]
    )
    optimizer = RecordingOptimizer(rule)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer=optimizer, loss=LOSS, jit_compile=False)
    images, labels = examples(160)
    model.fit(images.reshape(-1, 28, 28, 1), labels, verbose=0)
    for index, variable in enumerate(model.trainable_variables):
        history = optimizer.log.histories[index]
        if len(variable.shape) == 1:
            plain = [step._replace(rule=rule.replace(weight_decay=0.0)) for step in history.steps]
            history = history._replace(steps=plain)
        assert_same([history.end()], [copied(variable)])


@pytest.mark.filterwarnings("ignore:IndexedSlices gradients are made dense")
def test_text_classification_with_an_embedding() -> None:
    """IndexedSlices of the embedding are summed; the rule moves every row."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            keras.layers.Embedding(50, 6),
            keras.layers.LSTM(8),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer=RecordingOptimizer(RULE), loss=LOSS, jit_compile=False)
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, 50, (64, 12))
    model.fit(tokens, tokens[:, 0] % 2, batch_size=16, epochs=2, verbose=0)
    model.optimizer.log.check(model.trainable_variables, 8)


def test_train_checkpoint_and_manager(tmp_path: Path) -> None:
    """tf.train.Checkpoint with model and optimizer, restored into new ones."""

    def steps(model: Any, optimizer: Any, chosen: list[Any]) -> None:
        for images, labels in chosen:
            with tf.GradientTape() as tape:
                loss = LOSS(labels, model(images))
            optimizer.apply(tape.gradient(loss, model.trainable_variables))

    def made() -> tuple[Any, Any, Any]:
        model, optimizer = network(), RecordingOptimizer(RULE)
        optimizer.build(model.trainable_variables)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer)
        manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2)
        return model, optimizer, manager

    data = batches(8)
    model, optimizer, manager = made()
    steps(model, optimizer, data[:4])
    manager.save()
    steps(model, optimizer, data[4:])
    optimizer.log.check(model.trainable_variables, 8)
    twin, twin_optimizer, twin_manager = made()
    assert twin_manager.restore_or_initialize()
    steps(twin, twin_optimizer, data[4:])
    assert_same(model.get_weights(), twin.get_weights())


@pytest.mark.filterwarnings("ignore:.*This kernel is 784 x 16 here and 16 x 784 in PyTorch")
def test_muon_is_within_its_derived_limit() -> None:
    """Its matrix products have no order, so bits may differ."""
    rule = Muon(lr=0.02, adam=True)
    model = network()
    model.compile(optimizer=RecordingOptimizer(rule), loss=LOSS, jit_compile=False)
    images, labels = examples(160)
    model.fit(images, labels, verbose=0)
    for index, variable in enumerate(model.trainable_variables):
        history = model.optimizer.log.histories[index]
        assert len(history.steps) == 5
        history.check_within_limits(copied(variable))
