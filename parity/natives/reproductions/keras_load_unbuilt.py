"""Load the state of an optimizer that has taken a step into one that is not built yet.

As ``load_weights`` does with a compiled model that was never trained. It must go on from step 1.
"""

import sys

import keras

(saved, new), store = (keras.optimizers.Adam(), keras.optimizers.Adam()), {}
saved.apply([keras.ops.ones(1)], [keras.Variable([1.0])])
saved.save_own_variables(store)
new.load_own_variables(store)
new.build([keras.Variable([1.0])])
print(f"got {int(new.iterations)}, expected 1")
sys.exit(int(new.iterations) != 1)
