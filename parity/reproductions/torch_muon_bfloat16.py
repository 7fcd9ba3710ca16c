"""The first step of torch's Muon(lr=1.0) on a float64 matrix of one element: its polynomial five times, from 1."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.Muon([weight], lr=1.0).step()
s = 1.0
for _ in range(5):
    s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
came, due = f"{-weight.item():.3g}", f"{s:.3g}"
print(f"came {came}, due {due}")
sys.exit(came != due)
