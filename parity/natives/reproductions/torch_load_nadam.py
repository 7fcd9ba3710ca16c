"""Load the state of torch's NAdam beside a bfloat16 weight, and print the product of its momenta.

NAdam keeps it in float32. It must be what it was when it was saved.
"""

import sys

import torch

weight = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
saved, loaded = (torch.optim.NAdam([weight]) for _ in range(2))
weight.grad = torch.ones_like(weight)
saved.step()
loaded.load_state_dict(saved.state_dict())
got, expected = (f"{each.state[weight]['mu_product'].item():.6g}" for each in (loaded, saved))
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
