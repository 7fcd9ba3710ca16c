"""The first step of Keras' Adam(1.0, epsilon=0.0) on a float64 weight, whatever the gradient: 1."""

import sys

import keras

weight = keras.Variable([0.0], dtype="float64")
keras.optimizers.Adam(1.0, epsilon=0.0).apply([keras.ops.ones(1, "float64")], [weight])
came, due = f"{-float(weight[0]):.6g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
