"""Save a model of Keras with dropout after a call, load it, and print the count of its seed.

The count is 1 after the first call, and must be so again; with it the masks go on.
"""

import sys
import tempfile

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dropout(0.5, seed=1)])
model(keras.ops.ones((1, 1)), training=True)
model.save(file := f"{tempfile.mkdtemp()}/a.keras")
loaded = keras.saving.load_model(file)
got, expected = (str(int(each.layers[0].seed_generator.state[1])) for each in (loaded, model))
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
