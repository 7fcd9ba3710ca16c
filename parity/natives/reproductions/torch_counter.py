"""Read the step number of torch's Adagrad one step after 2^24.

It must be 2^24 + 1.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.zeros(1))
weight.grad = torch.ones(1)
optimizer = torch.optim.Adagrad([weight])
optimizer.state[weight]["step"].fill_(2**24)
optimizer.step()
got, expected = f"{optimizer.state[weight]['step'].item():.0f}", f"{2**24 + 1}"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
