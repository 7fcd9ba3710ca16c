"""The first step of torch's Adam(lr=1.0, eps=0.0) on a float64 weight, compiled, whatever the gradient: 1."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
optimizer = torch.optim.Adam([weight], lr=1.0, eps=0.0)
torch.compile(optimizer.step, backend="eager")()
came, due = f"{-weight.item():.6g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
