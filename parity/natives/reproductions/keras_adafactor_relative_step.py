"""Measure the fourth step of Keras' Adafactor(1.0, relative_step=False) on a weight of 1.

The step must be as long as the learning rate, 1.
"""

import sys

import keras

weight = keras.Variable([1.0])
optimizer = keras.optimizers.Adafactor(1.0, relative_step=False)
optimizer.build([weight])
optimizer.iterations.assign(3)
optimizer.apply([keras.ops.ones(1)])
got, expected = f"{1 - float(weight[0]):.3g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
