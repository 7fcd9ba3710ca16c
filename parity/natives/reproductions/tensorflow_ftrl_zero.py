"""Take a step of TensorFlow 1's Ftrl on a gradient of 0, with an accumulator that starts at 0.

The new weight is 0 / 0 by the equation, as in Keras 3; the kernel of TensorFlow puts 0 there.
"""

import sys

import tensorflow as tf

weight, gradient = tf.Variable(1.0), tf.constant(0.0)
optimizer = tf.compat.v1.train.FtrlOptimizer(0.5, initial_accumulator_value=0.0)
optimizer.apply_gradients([(gradient, weight)])
got, expected = f"{float(weight):.3g}", "nan"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
