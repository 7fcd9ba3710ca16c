"""Take a step of Keras' Adafactor(0.5) on a 2 by 2 matrix of ones.

Only one element has a gradient: that element must move to 0.5, and the others must stay.
"""

import sys

import keras

weights = keras.Variable([[1.0, 1.0], [1.0, 1.0]])
optimizer = keras.optimizers.Adafactor(0.5, clip_threshold=2.0)
optimizer.build([weights])
optimizer.apply([keras.ops.array([[1.0, 0.0], [0.0, 0.0]])])
got, expected = f"{float(weights[0, 0]):.3g}", "0.5"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
