"""Run model.fit on one batch with Keras' ScheduleFreeAdamW and a learning rate of 0.

A weight of 1 must stay 1.
"""

import sys

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.ScheduleFreeAdamW(0.0), "mse")
model.fit(keras.ops.ones((1, 1)), keras.ops.ones((1, 1)), verbose=0)
got, expected = f"{float(model.get_weights()[0][0, 0]):.3g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
