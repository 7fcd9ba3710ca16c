"""Save a model with dropout after one batch, load it, and drop from the next batch in both.

The loaded model must go on with the masks of the saved one: then there is one mask, not two.
"""

import sys
import tempfile

import keras

model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5, seed=1)])
model(ones := keras.ops.ones((1, 1000)), training=True)
model.save(path := tempfile.mkstemp(suffix=".keras")[1])
models = model, keras.models.load_model(path)
masks = {each(ones, training=True).numpy().tobytes() for each in models}
print(f"got {len(masks)}, expected 1")
sys.exit(len(masks) != 1)
