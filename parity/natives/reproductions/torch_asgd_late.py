"""Measure a step of torch's ASGD on a gradient of 1, after lr has changed from 0.1 to 0.2.

It must be 0.2.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.ASGD([weight], lr=0.1, lambd=0.0)
for optimizer.param_groups[0]["lr"] in (0.1, 0.2):
    before, weight.grad = weight.item(), torch.ones(1)
    optimizer.step()
got, expected = f"{before - weight.item():.3g}", "0.2"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
