"""Where Keras' ScheduleFreeAdamW(0.5) takes a bfloat16 weight of 1 in its first step: half a unit down."""

import sys

import keras

weight = keras.Variable([1.0], dtype="bfloat16")
keras.optimizers.ScheduleFreeAdamW(0.5).apply([keras.ops.ones(1, "bfloat16")], [weight])
came, due = f"{float(weight[0]):.3g}", "0.5"
print(f"came {came}, due {due}")
sys.exit(came != due)
