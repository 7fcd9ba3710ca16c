"""Measure the sixth step of optax' radam(1.0, eps=0.0) on gradients of 1.

It must be the rectifier, which is computed here in double precision.
"""

import sys

import optax

optimizer = optax.radam(1.0, eps=0.0)
state, length = optimizer.init(0.0), 1999 - 12 * 0.999**6 / (1 - 0.999**6)
for _ in range(6):
    step, state = optimizer.update(1.0, state)
rectifier = ((length - 4) * (length - 2) * 1999 / (1995 * 1997 * length)) ** 0.5
got, expected = f"{-float(step):.4f}", f"{rectifier:.4f}"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
