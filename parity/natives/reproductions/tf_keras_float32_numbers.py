"""Take two steps of Keras 2's SGD(1.0, momentum=0.9) on gradients of 1, in float64.

A weight of 0 must move by 1 + 1.9.
"""

import sys

import tensorflow as tf
import tf_keras

weight, gradient = tf.Variable(0.0, dtype="float64"), tf.constant(1.0, "float64")
optimizer = tf_keras.optimizers.legacy.SGD(1.0, momentum=0.9)
for _ in range(2):
    optimizer.apply_gradients([(gradient, weight)])
got, expected = f"{-float(weight):.9g}", "2.9"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
