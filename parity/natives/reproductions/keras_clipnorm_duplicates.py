"""Measure a step of Keras' SGD(1.0, clipnorm=1.0) on a token that occurs four times in a batch.

The clipped step must be 1 long.
"""

import sys

import keras
import tensorflow as tf

table = keras.Variable(tf.zeros((3, 1)))
gradient = tf.IndexedSlices(values=tf.ones((4, 1)), indices=[0, 0, 0, 0], dense_shape=(3, 1))
keras.optimizers.SGD(1.0, clipnorm=1.0).apply([gradient], [table])
got, expected = f"{-table.numpy()[0, 0]:.3g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
