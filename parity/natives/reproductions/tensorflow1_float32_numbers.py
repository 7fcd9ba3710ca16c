"""Take two steps of TensorFlow 1's MomentumOptimizer(1.0, 0.9) on gradients of 1, in float64.

A weight of 0 must move by 1 + 1.9.
"""

import sys

import tensorflow as tf

weight, gradient = tf.Variable(0.0, dtype="float64"), tf.constant(1.0, "float64")
optimizer = tf.compat.v1.train.MomentumOptimizer(1.0, 0.9)
for _ in range(2):
    optimizer.apply_gradients([(gradient, weight)])
got, expected = f"{-float(weight):.9g}", "2.9"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
