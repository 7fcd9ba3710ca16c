"""A weight of 1 after one batch of model.fit with Keras' ScheduleFreeAdamW and a learning rate of 0: still 1."""

import sys

import keras

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile(keras.optimizers.ScheduleFreeAdamW(0.0), "mse")
model.fit(keras.ops.ones((1, 1)), keras.ops.ones((1, 1)), verbose=0)
came, due = f"{float(model.get_weights()[0][0, 0]):.3g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
