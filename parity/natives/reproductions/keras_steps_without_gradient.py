"""Measure the first step of Keras' Adam(0.1) on a weight that has no gradient in nine calls.

The step in the tenth call must be 0.1, as every first step of Adam.
"""

import sys
import warnings

import keras

warnings.simplefilter("ignore")
warm, cold, optimizer = keras.Variable([0.0]), keras.Variable([0.0]), keras.optimizers.Adam(0.1)
for gradient in [None] * 9 + [keras.ops.ones(1)]:
    optimizer.apply([keras.ops.ones(1), gradient], [warm, cold])
got, expected = f"{-float(cold[0]):.3g}", "0.1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
