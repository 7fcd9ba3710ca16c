"""The first step of optax' rprop(0.1): 0.1 against the gradient's sign."""

import sys

import optax

optimizer = optax.rprop(0.1)
step, _ = optimizer.update(1.0, optimizer.init(0.0))
came, due = f"{abs(float(step)):.3g}", "0.1"
print(f"came {came}, due {due}")
sys.exit(came != due)
