"""Two steps of TensorFlow 1's MomentumOptimizer(1.0, 0.9) on a float64 weight of 0, gradients of 1: 1 + 1.9."""

import sys

import tensorflow as tf

weight, gradient = tf.Variable(0.0, dtype="float64"), tf.constant(1.0, "float64")
optimizer = tf.compat.v1.train.MomentumOptimizer(1.0, 0.9)
for _ in range(2):
    optimizer.apply_gradients([(gradient, weight)])
came, due = f"{-float(weight):.9g}", "2.9"
print(f"came {came}, due {due}")
sys.exit(came != due)
