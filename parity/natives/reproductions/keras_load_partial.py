"""Load the state of Adam into an optimizer of a weight of another shape, which is refused.

Then nothing of it must have been loaded; the step number is.
"""

import contextlib
import sys

import keras

store, saved, new = dict[str, object](), keras.optimizers.Adam(), keras.optimizers.Adam()
saved.apply([keras.ops.ones(1)], [keras.Variable([1.0])])
_ = new.build([keras.Variable([1.0, 1.0])]), saved.save_own_variables(store)
with contextlib.suppress(ValueError):
    new.load_own_variables(store)
print(f"got {int(new.iterations)}, expected 0")
sys.exit(int(new.iterations) != 0)
