"""The first step of optax' adam(1.0, eps=0.0), whatever the gradient: 1."""

import sys

import optax

optimizer = optax.adam(1.0, eps=0.0)
step, _ = optimizer.update(1.0, optimizer.init(0.0))
came, due = f"{-float(step):.6g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
