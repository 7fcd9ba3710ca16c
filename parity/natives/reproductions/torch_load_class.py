"""Load the state of torch's Adam into AdamW(lr=1.0, weight_decay=0.5), and step without a gradient.

A weight of 1 must decay to 0.5, or the state of another class must be refused.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.AdamW([weight], lr=1.0, weight_decay=0.5)
optimizer.load_state_dict(torch.optim.Adam([weight], lr=1.0).state_dict())
weight.grad = torch.zeros_like(weight)
optimizer.step()
got, expected = f"{weight.item():g}", "0.5"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
