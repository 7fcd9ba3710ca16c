"""A step of Keras' Muon on a float64 matrix of one element, under a floatx of float32: 1 - 0.001 * 0.2 * 0.702."""

import sys

import keras

weight = keras.Variable([[1.0]], dtype="float64")
try:
    keras.optimizers.Muon(weight_decay=None).apply([keras.ops.ones_like(weight)], [weight])
    came = f"{weight.numpy().item():.5g}"
except Exception as error:
    came = type(error).__name__
print(f"came {came}, due 0.99986")
sys.exit(came != "0.99986")
