"""Take the first step of optax' adadelta() on a gradient of 1.

It must go downhill by sqrt(eps / (0.1 + eps)), where eps = 1e-6.
"""

import sys

import optax

optimizer = optax.adadelta()
step, _ = optimizer.update(1.0, optimizer.init(0.0), 0.0)
got, expected = f"{float(step):.3g}", "-0.00316"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
