"""Read the mean square after the first float32 step of ResourceApplyAdam on a gradient of 1.

It must be 1 - beta2, which is 0.001.
"""

import sys

import tensorflow as tf

theta, m, v = (tf.Variable(0.0) for _ in range(3))
tensors = {"var": theta.handle, "m": m.handle, "v": v.handle, "grad": 1.0}
betas = {"beta1": 0.9, "beta1_power": 0.9, "beta2": 0.999, "beta2_power": 0.999}
tf.raw_ops.ResourceApplyAdam(**tensors, **betas, lr=1.0, epsilon=0.0)
got, expected = f"{float(v):.6g}", "0.001"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
