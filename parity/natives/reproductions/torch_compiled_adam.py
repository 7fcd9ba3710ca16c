"""Measure the first step of torch's Adam(lr=1.0, eps=0.0), compiled, on a float64 weight.

It must be 1, for every gradient.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
optimizer = torch.optim.Adam([weight], lr=1.0, eps=0.0)
torch.compile(optimizer.step, backend="eager")()
got, expected = f"{-weight.item():.6g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
