"""Measure the first step of torch's Adafactor(lr=1.0) on a float64 weight of 1.

It must be 1, although a bfloat16 weight comes first in the group.
"""

import sys

import torch

first = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
first.grad = torch.full_like(first, 1e-4)
weight.grad = torch.full_like(weight, 1e-4)
torch.optim.Adafactor([first, weight], lr=1.0).step()
got, expected = f"{1 - weight.item():.3g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
