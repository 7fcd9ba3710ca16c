"""Save and load the state of ASGD on bfloat16 weights.

Its step size, kept in float32, must stay in float32.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
weight.grad = torch.ones_like(weight)
optimizer, fresh = torch.optim.ASGD([weight]), torch.optim.ASGD([weight])
optimizer.step()
fresh.load_state_dict(optimizer.state_dict())
got = fresh.state[weight]["eta"].dtype
print(f"got {got}, expected {optimizer.state[weight]['eta'].dtype}")
sys.exit(got != optimizer.state[weight]["eta"].dtype)
