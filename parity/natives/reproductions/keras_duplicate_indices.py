"""Measure the first step of Keras' Adam(0.01) on a token that occurs four times in a batch.

It must be 0.01 long, as it is if the four rows are summed beforehand.
"""

import sys

import keras
import tensorflow as tf

table = keras.Variable(tf.zeros((3, 1)))
gradient = tf.IndexedSlices(values=tf.ones((4, 1)), indices=[0, 0, 0, 0], dense_shape=(3, 1))
keras.optimizers.Adam(0.01).apply([gradient], [table])
got, expected = f"{-table.numpy()[0, 0]:.3g}", "0.01"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
