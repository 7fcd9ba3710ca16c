"""Take the first step of Keras' Adam(0.5) on a bfloat16 weight of 1.

The weight must move to 0.5.
"""

import sys

import keras

weight = keras.Variable([1.0], dtype="bfloat16")
keras.optimizers.Adam(0.5).apply([keras.ops.ones(1, "bfloat16")], [weight])
got, expected = f"{float(weight[0]):.3g}", "0.5"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
