"""Measure the first step of optax' rprop(0.1).

It must be 0.1 long.
"""

import sys

import optax

optimizer = optax.rprop(0.1)
step, _ = optimizer.update(1.0, optimizer.init(0.0))
got, expected = f"{abs(float(step)):.3g}", "0.1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
