"""The fourth step of Keras' Adafactor(1.0, relative_step=False) on a weight of 1: the learning rate, not shortened."""

import sys

import keras

weight = keras.Variable([1.0])
optimizer = keras.optimizers.Adafactor(1.0, relative_step=False)
optimizer.build([weight])
optimizer.iterations.assign(3)
optimizer.apply([keras.ops.ones(1)])
came, due = f"{1 - float(weight[0]):.3g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
