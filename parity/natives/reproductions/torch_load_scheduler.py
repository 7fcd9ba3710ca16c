"""Make torch's LambdaLR after the optimizer was loaded, load it, and print the learning rate.

It was 0.25 when both were saved, and must be so again.
"""

import sys

import torch

optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t)
saved = [(optimizer.step(), schedule.step()) for _ in range(2)] and schedule.state_dict()
optimizer.load_state_dict(optimizer.state_dict())
torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t).load_state_dict(saved)
got, expected = f"{optimizer.param_groups[0]['lr']:g}", "0.25"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
