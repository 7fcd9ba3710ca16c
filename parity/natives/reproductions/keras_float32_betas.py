"""Measure the first step of Keras' Adam(1.0, epsilon=0.0) on a float32 weight.

It must be 1, for every gradient.
"""

import sys

import keras

weight = keras.Variable([0.0], dtype="float32")
keras.optimizers.Adam(1.0, epsilon=0.0).apply([keras.ops.ones(1, "float32")], [weight])
got, expected = f"{-float(weight[0]):.6g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
