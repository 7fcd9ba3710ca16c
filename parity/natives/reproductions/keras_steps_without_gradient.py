"""The first step of Keras' Adam(0.1) on a weight whose first gradient comes with the tenth call."""

import sys
import warnings

import keras

warnings.simplefilter("ignore")
warm, cold, optimizer = keras.Variable([0.0]), keras.Variable([0.0]), keras.optimizers.Adam(0.1)
for gradient in [None] * 9 + [keras.ops.ones(1)]:
    optimizer.apply([keras.ops.ones(1), gradient], [warm, cold])
came, due = f"{-float(cold[0]):.3g}", "0.1"
print(f"came {came}, due {due}")
sys.exit(came != due)
