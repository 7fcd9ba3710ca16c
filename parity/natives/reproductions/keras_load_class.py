"""Load the weights of a model of Keras that was compiled with Adam into one compiled with Adamax.

The state of another class must not be taken: the step count must stay 0.
"""

import sys
import tempfile

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
file, ones = f"{tempfile.mkdtemp()}/a.weights.h5", keras.ops.ones((1, 1))
history = model.compile("adam", "mse"), model.fit(ones, ones, verbose=0), model.save_weights(file)
model.compile("adamax", "mse")
loaded = model.optimizer.build(model.trainable_variables), model.load_weights(file)
got, expected = str(int(model.optimizer.iterations)), "0"
sys.exit(print(f"got {got}, expected {expected}") or got != expected)
