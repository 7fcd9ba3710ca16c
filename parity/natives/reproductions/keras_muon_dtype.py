"""Take a step of Keras' Muon on a float64 matrix of one element, while floatx is float32.

The element must move from 1 to 1 - 0.001 * 0.2 * 0.702.
"""

import sys

import keras

weight = keras.Variable([[1.0]], dtype="float64")
try:
    keras.optimizers.Muon(weight_decay=None).apply([keras.ops.ones_like(weight)], [weight])
    got = f"{weight.numpy().item():.5g}"
except Exception as error:
    got = type(error).__name__
print(f"got {got}, expected 0.99986")
sys.exit(got != "0.99986")
