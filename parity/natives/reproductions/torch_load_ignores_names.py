"""Load the state of named weights a and b into an optimizer of b and a.

The first mean of b, whose gradient was 2, must be 0.2.
"""

import sys

import torch

a, b = (("a", torch.nn.Parameter(torch.ones(1))), ("b", torch.nn.Parameter(torch.ones(1))))
a[1].grad, b[1].grad = torch.ones(1), 2 * torch.ones(1)
first, second = torch.optim.Adam([a, b]), torch.optim.Adam([b, a])
first.step()
second.load_state_dict(first.state_dict())
got = f"{second.state[b[1]]['exp_avg'].item():.1g}"
print(f"got {got}, expected 0.2")
sys.exit(got != "0.2")
