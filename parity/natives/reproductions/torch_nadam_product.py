"""The first step of torch's NAdam(lr=1.0, eps=0.0) on a float64 weight, against its equation in float64."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
weight.grad = torch.ones_like(weight)
torch.optim.NAdam([weight], lr=1.0, eps=0.0).step()
mu, following = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
step = following * (1 - 0.9) / (1 - mu * following) + (1 - mu) / (1 - mu)
came, due = f"{-weight.item():.9f}", f"{step:.9f}"
print(f"came {came}, due {due}")
sys.exit(came != due)
