"""Load the state of Adam into Ftrl, whose states mean something else, as ``load_weights`` does.

The step number must not be taken over: loading must be refused.
"""

import sys

import keras

variable, store = keras.Variable([1.0]), {}
adam, ftrl = keras.optimizers.Adam(), keras.optimizers.Ftrl()
adam.apply([keras.ops.ones(1)], [variable])
ftrl.build([variable])
adam.save_own_variables(store)
ftrl.load_own_variables(store)
print(f"got {int(ftrl.iterations)}, expected 0")
sys.exit(int(ftrl.iterations) != 0)
