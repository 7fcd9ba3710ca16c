"""The first step of torch's Adafactor(lr=1.0) on a float64 weight of 1 that comes after a bfloat16 one: 1."""

import sys

import torch

weights = [torch.nn.Parameter(torch.ones(1, dtype=dtype)) for dtype in (torch.bfloat16, torch.float64)]
for weight in weights:
    weight.grad = torch.full_like(weight, 1e-4)
torch.optim.Adafactor(weights, lr=1.0).step()
came, due = f"{1 - weights[1].item():.3g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
