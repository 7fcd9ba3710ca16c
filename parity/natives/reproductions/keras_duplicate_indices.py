"""The first step of Keras' Adam on a token that occurs four times in a batch; merged beforehand, it is 0.01 long."""

import sys

import keras
import tensorflow as tf

table = keras.Variable(tf.zeros((3, 1)))
gradient = tf.IndexedSlices(values=tf.ones((4, 1)), indices=[0, 0, 0, 0], dense_shape=(3, 1))
keras.optimizers.Adam(0.01).apply([gradient], [table])
came, due = f"{-table.numpy()[0, 0]:.3g}", "0.01"
print(f"came {came}, due {due}")
sys.exit(came != due)
