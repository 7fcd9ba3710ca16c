"""Keras' moving average (momentum 0.5) after updates of 0, 1 and 0, each accumulated over four equal gradients."""

import sys

import keras

weight = keras.Variable([0.0])
optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=4)
for gradient in [0.0] * 4 + [-1.0] * 4 + [0.0] * 4:
    optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
optimizer.finalize_variable_values([weight])
came, due = f"{float(weight[0]):.6g}", "0.75"
print(f"came {came}, due {due}")
sys.exit(came != due)
