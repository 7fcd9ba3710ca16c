"""Measure the norm of the momentum of torch's Muon(momentum=0.5) after its first step.

It must be half the norm of the gradient, which is 4.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(4, 4, dtype=torch.bfloat16))
weight.grad = torch.ones_like(weight)
optimizer = torch.optim.Muon([weight], momentum=0.5, nesterov=False)
optimizer.step()
got, expected = f"{optimizer.state[weight]['momentum_buffer'].norm().item():.3g}", "2"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
