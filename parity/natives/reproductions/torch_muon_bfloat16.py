"""Measure the first step of torch's Muon(lr=1.0) on a float64 matrix of one element.

It must be Muon's polynomial, applied five times to 1.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.Muon([weight], lr=1.0).step()
got, expected = f"{-weight.item():.3g}", "0.696"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
