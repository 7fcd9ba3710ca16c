"""Read the value that ONNX stores for alpha = 0.9 in the Momentum operator.

It must be 0.9 for float64 tensors, too.
"""

import sys

import onnx

inputs, domain = ["R", "T", "X", "G", "V"], "ai.onnx.preview.training"
node = onnx.helper.make_node("Momentum", inputs, ["x", "v"], domain=domain, alpha=0.9)
got, expected = f"{onnx.helper.get_node_attr_value(node, 'alpha'):.9g}", "0.9"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
