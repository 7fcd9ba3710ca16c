"""What ONNX makes of alpha = 0.9 in the Momentum operator, whatever the dtype of its tensors."""

import sys

import onnx

inputs, domain = ["R", "T", "X", "G", "V"], "ai.onnx.preview.training"
node = onnx.helper.make_node("Momentum", inputs, ["x", "v"], domain=domain, alpha=0.9)
came, due = f"{onnx.helper.get_node_attr_value(node, 'alpha'):.9g}", "0.9"
print(f"came {came}, due {due}")
sys.exit(came != due)
