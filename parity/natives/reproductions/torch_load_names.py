"""Load the state of two named weights of torch's SGD into SGD that has them in the other order.

The momentum of "a", whose gradient was 1, must be 1 afterwards; that of "b" was 2.
"""

import sys

import torch

named = [(name, torch.nn.Parameter(torch.ones(1))) for name in "ab"]
named[0][1].grad, named[1][1].grad = torch.ones(1), torch.full((1,), 2.0)
saved, loaded = (torch.optim.SGD(each, momentum=0.9) for each in (named, named[::-1]))
saved.step()
loaded.load_state_dict(saved.state_dict())
got, expected = f"{loaded.state[named[0][1]]['momentum_buffer'].item():g}", "1"
print(f"got {got}, expected {expected}")
sys.exit(got != expected)
