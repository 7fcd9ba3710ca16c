"""The mean square after ResourceApplyAdam's first float32 step on a gradient of 1 with beta2 = 0.999: 1 - beta2."""

import sys

import tensorflow as tf

theta, m, v = (tf.Variable(0.0) for _ in range(3))
numbers = {"lr": 1.0, "beta1": 0.9, "beta2": 0.999, "beta1_power": 0.9, "beta2_power": 0.999, "epsilon": 0.0}
tf.raw_ops.ResourceApplyAdam(var=theta.handle, m=m.handle, v=v.handle, grad=1.0, **numbers)
came, due = f"{float(v):.6g}", "0.001"
print(f"came {came}, due {due}")
sys.exit(came != due)
