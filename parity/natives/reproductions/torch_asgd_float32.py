"""The first step of torch's ASGD(lr=0.1, lambd=0.0) on a float64 weight and a gradient of 1: 0.1."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.ASGD([weight], lr=0.1, lambd=0.0).step()
came, due = f"{-weight.item():.9f}", f"{0.1:.9f}"
print(f"came {came}, due {due}")
sys.exit(came != due)
