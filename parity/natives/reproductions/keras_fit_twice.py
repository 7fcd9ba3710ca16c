"""Train one weight for four epochs, in one call of fit and in two, with an average of weights.

Both must end alike.
"""

import sys

import keras

ends, x = [], keras.ops.ones((1, 1))
for epochs in (4, 2):
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    _ = [model.fit(x, 0 * x, epochs=epochs, verbose=0) for _ in range(4 // epochs)]
    ends.append(f"{model.get_weights()[0].item():.3g}")
print(f"got {ends[1]}, expected {ends[0]}")
sys.exit(ends[1] != ends[0])
