"""A weight of 1 after two steps of Keras' ScheduleFreeAdamW(0.1) on gradients of 1; worked by hand: 0.845."""

import sys

import keras

weight = keras.Variable([1.0])
optimizer = keras.optimizers.ScheduleFreeAdamW(0.1, epsilon=0.0)
for _ in range(2):  # points 0.9 and 0.8, their average 0.85: 0.1 * 0.8 + 0.9 * 0.85
    optimizer.apply([keras.ops.ones(1)], [weight])
came, due = f"{float(weight.value[0]):.3g}", "0.845"
print(f"came {came}, due {due}")
sys.exit(came != due)
