"""Save the weights of a compiled model of Keras after a step, compile it anew, and load them.

The optimizer's step count must be 1; it and all its state are in the file.
"""

import sys
import tempfile

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
file, ones = f"{tempfile.mkdtemp()}/a.weights.h5", keras.ops.ones((1, 1))
model.compile("adam", "mse")
history = model.fit(ones, ones, verbose=0), model.save_weights(file)
reloaded = model.compile("adam", "mse"), model.load_weights(file)
got, expected = str(int(model.optimizer.iterations)), "1"
sys.exit(print(f"got {got}, expected {expected}") or got != expected)
