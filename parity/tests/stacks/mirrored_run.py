"""Train with tf.distribute.MirroredStrategy on two logical CPUs; write what each replica saw.

Run as ``python mirrored_run.py OUT.npz RULE OPTIONS``, RULE and OPTIONS as JSON. A process of its
own, since logical devices must be made before TensorFlow uses a device.
"""

import json
import sys
import threading
from typing import Any

import numpy as np
import tensorflow as tf

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras  # noqa: E402

from samestep.frameworks.tensorflow import Optimizer  # noqa: E402
from samestep.frameworks.tensorflow.parts import Schedule  # noqa: E402
from samestep.parity.tests.support.mnist_batches import examples  # noqa: E402
from samestep.reference import Adam  # noqa: E402
from samestep.reference.parts import Cosine  # noqa: E402

BATCH, BATCHES = 32, 8
SCHEDULES = {
    "ours": Schedule(Cosine(lr=0.01, steps=16)),
    "keras": keras.optimizers.schedules.CosineDecay(0.01, 16),
}


class Recording(Optimizer):
    """Our optimizer; ``seen`` holds each replica's gradients of each step."""

    seen: dict[str, np.ndarray] = {}  # noqa: RUF012
    lock = threading.Lock()

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        if not isinstance(replica, int):
            replica = int(tf.get_static_value(replica))

        def note(lr: np.ndarray, *gradients: np.ndarray) -> None:
            with self.lock:
                step = sum(key.startswith(f"rate/{replica}/") for key in self.seen)
                self.seen[f"rate/{replica}/{step}"] = np.array(lr)
                for index, gradient in enumerate(gradients):
                    self.seen[f"gradient/{replica}/{step}/{index}"] = gradient.copy()

        tf.numpy_function(note, [tf.cast(learning_rate, tf.float64), *grads], [])
        super()._backend_update_step(grads, trainable_variables, learning_rate)


class Copies(keras.callbacks.Callback):
    """The values that the replicas hold at the end of training."""

    def on_train_end(self, logs: Any = None) -> None:
        """Copy them."""
        for index, variable in enumerate(self.model.trainable_variables):
            for replica, value in enumerate(variable.value.values):
                Recording.seen[f"end/{replica}/{index}"] = value.numpy()


def main(out: str, rule: str, options: str) -> None:
    """Train two epochs."""
    settings = json.loads(options)
    if settings.pop("mixed_float16", False):
        keras.config.set_dtype_policy("mixed_float16")
    eagerly = settings.pop("run_eagerly", False)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((784,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(10)]
        )
        schedule = SCHEDULES.get(settings.pop("schedule", None))
        optimizer = Recording(Adam(**json.loads(rule)), schedule, **settings)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=optimizer, loss=loss, jit_compile=False, run_eagerly=eagerly)
    for index, variable in enumerate(model.trainable_variables):
        Recording.seen[f"start/{index}"] = variable.numpy()
    images, labels = examples(BATCH * BATCHES)
    model.fit(
        images, labels, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[Copies()]
    )
    np.savez(out, **Recording.seen)


main(*sys.argv[1:])
