"""The first step of optax' adadelta() on a gradient of 1: sqrt(eps / (0.1 + eps)) downhill, eps = 1e-6."""

import sys

import optax

optimizer = optax.adadelta()
step, _ = optimizer.update(1.0, optimizer.init(0.0), 0.0)
came, due = f"{float(step):.3g}", "-0.00316"
print(f"came {came}, due {due}")
sys.exit(came != due)
