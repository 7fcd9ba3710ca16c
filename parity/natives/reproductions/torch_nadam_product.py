"""Measure the first step of torch's NAdam(lr=1.0, eps=0.0) on a float64 weight.

It must be that of the equation, which is computed here in float64.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.NAdam([weight], lr=1.0, eps=0.0).step()
now, following = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
step = following * (1 - 0.9) / (1 - now * following) + (1 - now) / (1 - now)
got, expected = f"{-weight.item():.9f}", f"{step:.9f}"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
