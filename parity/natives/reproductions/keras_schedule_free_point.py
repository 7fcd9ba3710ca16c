"""Take two steps of Keras' ScheduleFreeAdamW(0.1) on a weight of 1, with gradients of 1.

The weight must become 0.845, as worked out by hand below.
"""

import sys

import keras

weight = keras.Variable([1.0])
optimizer = keras.optimizers.ScheduleFreeAdamW(0.1, epsilon=0.0)
for _ in range(2):  # points 0.9 and 0.8, their average 0.85: 0.1 * 0.8 + 0.9 * 0.85
    optimizer.apply([keras.ops.ones(1)], [weight])
got, expected = f"{float(weight.value[0]):.3g}", "0.845"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
