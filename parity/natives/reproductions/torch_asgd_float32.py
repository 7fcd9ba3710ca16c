"""Measure the first step of torch's ASGD(lr=0.1, lambd=0.0) in float64, on a gradient of 1.

It must be 0.1.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.ASGD([weight], lr=0.1, lambd=0.0).step()
got, expected = f"{-weight.item():.9f}", f"{0.1:.9f}"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
