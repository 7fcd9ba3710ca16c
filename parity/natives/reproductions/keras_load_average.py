"""Load the state of SGD with momentum into SGD with an average of the weights.

The average, of a weight near 1, must not become the velocity of -0.01.
"""

import sys

import keras

(weight, store), SGD = (keras.Variable([1.0]), dict[str, object]()), keras.optimizers.SGD
saved, new = SGD(0.01, momentum=0.9), SGD(0.01, use_ema=True)
saved.apply([keras.ops.ones(1)], [weight])
new.build([weight])
saved.save_own_variables(store)
new.load_own_variables(store)
print(f"got {new.variables[2].numpy().item():.2f}, expected 1.00")
sys.exit(new.variables[2].numpy().item() < 0.5)
