"""Measure the first step of optax' adam(1.0, eps=0.0).

It must be 1, for every gradient.
"""

import sys

import optax

optimizer = optax.adam(1.0, eps=0.0)
step, _ = optimizer.update(1.0, optimizer.init(0.0))
got, expected = f"{-float(step):.6g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
