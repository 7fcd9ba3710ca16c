"""Measure Keras' moving average (momentum 0.5) after the updates 0, 1 and 0.

Each update is accumulated over four equal gradients. The average must change at updates only.
"""

import sys

import keras

weight = keras.Variable([0.0])
optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=4)
for gradient in [0.0] * 4 + [-1.0] * 4 + [0.0] * 4:
    optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
optimizer.finalize_variable_values([weight])
got, expected = f"{float(weight[0]):.6g}", "0.75"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
