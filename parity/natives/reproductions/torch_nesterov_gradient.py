"""Take a step of torch's SGD(momentum=0.9, nesterov=True, foreach=True).

The step must leave the gradient of 1 as it is.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1))
weight.grad = torch.ones(1)
torch.optim.SGD([weight], momentum=0.9, nesterov=True, foreach=True).step()
got, expected = f"{weight.grad.item():.3g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
