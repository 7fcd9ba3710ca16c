"""A gradient of 1 after a step of torch's SGD(momentum=0.9, nesterov=True, foreach=True): still 1."""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1))
weight.grad = torch.ones(1)
torch.optim.SGD([weight], momentum=0.9, nesterov=True, foreach=True).step()
came, due = f"{weight.grad.item():.3g}", "1"
print(f"came {came}, due {due}")
sys.exit(came != due)
